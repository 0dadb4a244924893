"""A process to be cut short: numbers frames, and says on stdout what it was promised.

It waits for its orders on stdin, so that starting the interpreter costs nobody time:
`{"root": …, "first": …, "seed": …, "bursts": null, "segment_max_mb": …, "rotations": 0.1,
"disk_log": null, "recover_only": false}`, where `rotations` is how often one is asked for.

Each line that it says is JSON. `said` is one of
- sent: from now on the frames up to, excluding, `number` may be found;
- durable: they are durable;
- published: they lie in ready/;
- parting: from now on the connection may have ended as it should;
- closed, or stopped with a reason.
`at` is the machine's monotonic clock, `disk_log` how far the log of the disk below had come.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from fluxforge.errors import FluxForgeError, QueueFullError
from fluxforge.ingestion.writers import LogWriter
from fluxforge.storage import LocalStorage


def frame(number: int) -> bytes:
    """The frame with a number; its length follows from the number."""
    return b'{"number":%d,"padding":"%s"}' % (number, b"x" * (number * 37 % 900))


class Capture:
    """Carries out the orders."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.orders = orders
        self.chance = random.Random(orders["seed"])
        self.next = orders["first"]

    def say(self, said: str, **more: object) -> None:
        now = time.monotonic_ns()
        log = self.orders["disk_log"]
        size = Path(log).stat().st_size if log else None
        line = json.dumps({"said": said, "number": self.next, "at": now, "disk_log": size, **more})
        # Logged outside the process and the disk: the pipe's other end survives both. A write of
        # one buffer, under another name than the writer's, so that injected faults miss it.
        os.writev(1, [line.encode() + b"\n"])

    async def run(self) -> None:
        try:
            writer = open_writer(self.orders["root"], segment_max_mb=self.orders["segment_max_mb"])
            if self.orders["recover_only"]:
                await writer.close()
            else:
                await self.capture(writer)
        except FluxForgeError as error:
            self.say("stopped", errno=getattr(error, "errno", None), why=str(error))
        else:
            self.say("closed", poisonings=writer.stats().poisonings)

    async def capture(self, writer: LogWriter) -> None:
        conn = f"c{self.orders['first']}"
        writer.append_event("connected", capture_ns=time.time_ns(), conn=conn)
        bursts = self.orders["bursts"]
        while bursts is None or bursts > 0:
            await self.burst(writer, conn)
            bursts = None if bursts is None else bursts - 1
        self.say("parting")
        writer.append_event("disconnected", capture_ns=time.time_ns(), conn=conn)
        await writer.close()

    async def burst(self, writer: LogWriter, conn: str) -> None:
        first = self.next
        self.next += self.chance.randrange(1, 25)
        self.say("sent")
        position = 0
        for number in range(first, self.next):
            while True:
                try:
                    position = writer.append(frame(number), capture_ns=time.time_ns(), conn=conn)
                except QueueFullError:
                    await writer.drain()
                else:
                    break
        await writer.durable(position)
        self.say("durable")
        if self.chance.random() < self.orders["rotations"]:
            await writer.rotate()
            if writer.stats().publish_error is None:
                self.say("published")
                # A feed may fall silent, and then no later sync hides one that was forgotten.
                await asyncio.sleep(0.01)


def open_writer(root: str, *, segment_max_mb: float = 256) -> LogWriter:
    """The writer of every fault test; what lies in `root` is recovered first."""
    return LogWriter(
        LocalStorage(root),
        active_path="raw/active",
        ready_path="raw/ready",
        quarantine_path="raw/quarantine",
        source="test",
        segment_max_mb=segment_max_mb,
    )


if __name__ == "__main__":
    asyncio.run(Capture(json.loads(sys.stdin.readline())).run())

"""A process to be killed: numbers frames, and prints each number once it is durable."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time

from fluxforge.errors import QueueFullError
from fluxforge.ingestion.writers import LogWriter
from fluxforge.storage import LocalStorage


async def append_for_ever(root: str, first: int, segment_max_mb: float) -> None:
    writer = LogWriter(
        LocalStorage(root),
        active_path="active",
        ready_path="ready",
        quarantine_path="quarantine",
        source="test",
        segment_max_mb=segment_max_mb,
    )
    for number in itertools.count(first):
        frame = b'{"number":%d,"padding":"%s"}' % (number, b"x" * 400)
        while True:
            try:
                position = writer.append(frame, capture_ns=time.time_ns(), conn="c1")
            except QueueFullError:
                await writer.drain()
            else:
                break
        if number % 100 == 0:
            await writer.durable(position)
            # Logged outside the process: the pipe's other end survives it.
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


asyncio.run(append_for_ever(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))

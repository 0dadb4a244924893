"""Captures as processes, seen from outside: what each said before it was cut short."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CAPTURE = Path(__file__).with_name("capture.py")


@dataclass
class Life:
    """What one capture promised: numbers are of frames, and the end of a range is excluded."""

    first: int
    said: list[dict[str, Any]] = field(default_factory=list)

    def until(self, **limits: int) -> Life:
        """The same life with the promises that were made `at` a time at the latest, or before the
        `disk_log` was longer than this. What was sent later may be found, and need not be.
        """
        ((key, limit),) = limits.items()
        kept = [line for line in self.said if line["said"] == "sent" or line[key] <= limit]
        return Life(self.first, kept)

    def reached(self, said: str) -> int:
        """One more than the greatest number of which this was said."""
        return max((line["number"] for line in self.said if line["said"] == said), default=0)

    def has(self, said: str) -> bool:
        """Whether this was said."""
        return any(line["said"] == said for line in self.said)

    @property
    def sent(self) -> range:
        return range(self.first, max(self.first, self.reached("sent")))

    @property
    def durable(self) -> range:
        return range(self.first, max(self.first, self.reached("durable")))

    @property
    def published(self) -> range:
        return range(self.first, max(self.first, self.reached("published")))

    @property
    def end(self) -> dict[str, Any]:
        """The last thing it said, if it said goodbye."""
        last = self.said[-1] if self.said else {}
        return last if last.get("said") in {"closed", "stopped"} else {}


class Capture:
    """A process that is started early, and begins when it is told to."""

    def __init__(self, *under: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [*under, sys.executable, str(CAPTURE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            text=True,
            # A group of its own: what is killed is the capture with whatever it runs under, and
            # Ctrl-C leaves it to the tests to clean up in their order.
            start_new_session=True,
        )
        self.life = Life(0)
        self._killed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.life.said.extend(map(json.loads, lines))

    def go(
        self,
        root: Path,
        *,
        first: int,
        seed: int,
        bursts: int | None = None,
        segment_max_mb: float = 0.05,
        rotations: float = 0.1,
        disk_log: Path | None = None,
        recover_only: bool = False,
    ) -> None:
        """Have it write, for ever or so many bursts, or recover only what lies there."""
        self.life.first = first
        orders = {
            "root": str(root),
            "first": first,
            "seed": seed,
            "bursts": bursts,
            "segment_max_mb": segment_max_mb,
            "rotations": rotations,
            "disk_log": str(disk_log) if disk_log else None,
            "recover_only": recover_only,
        }
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(orders) + "\n")
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # killed at one of its first system calls, before it could read

    def wait_for_lines(self, count: int) -> None:
        """Wait until it has said so many things, or ended."""
        self.wait_until(lambda: len(self.life.said) >= count)

    def wait_for(self, said: str) -> None:
        """Wait until it has said this, or ended."""
        self.wait_until(lambda: self.life.reached(said) > 0)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until something is so, or it has ended."""
        deadline = time.monotonic() + seconds
        while not condition() and self._reader.is_alive():
            assert time.monotonic() < deadline, f"{self.life.said} after {seconds} s"
            time.sleep(0.0003)

    def wait(self, seconds: float = 60) -> Life:
        """Wait for its end."""
        self.process.wait(seconds)
        self._reader.join(seconds)
        return self.life

    def kill(self) -> Life:
        """End it as the kernel would."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        if not self._killed:
            # Once only: later its number may be another's.
            self._killed = True
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        return self.wait()


@contextmanager
def captures(*under: str, env: dict[str, str] | None = None) -> Iterator[Iterator[Capture]]:
    """Captures one after another, each started while the one before it works."""
    started: list[Capture] = []

    def one_ahead() -> Iterator[Capture]:
        started.append(Capture(*under, env=env))
        while True:
            started.append(Capture(*under, env=env))
            yield started[-2]

    try:
        yield one_ahead()
    finally:
        for capture in started:
            capture.kill()


def run_to_end(*under: str, root: Path, first: int = 0, **orders: Any) -> Life:
    """One capture under another command, to its end; whatever the command does to it."""
    capture = Capture(*under)
    try:
        capture.go(root, first=first, **orders)
        return capture.wait()
    finally:
        capture.kill()

"""Ways to make frames durable, in Python, all fed alike: a burst of frames every millisecond.

A frame's lag runs from the moment its burst was due to the return of the sync that made it
durable; what waits because an engine is late, waits visibly. At rate 0 the next frame is always
there, and lags tell how long the queue is.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from fluxforge._native import WriterStats
from fluxforge.errors import QueueFullError
from fluxforge.ingestion.writers import LogWriter
from fluxforge.storage import LocalStorage

_TICK_NS = 1_000_000
_ALWAYS = 1_000  # frames that a burst holds at rate 0
_SAMPLES = 20_000
_PATIENCE = 0.002  # between two looks; shorter, and looking is what is measured


@dataclass(frozen=True)
class Run:
    """What one engine did at one rate. Times in nanoseconds."""

    offered: int  # frames that were due; at rate 0, those that were taken
    frames: int  # taken while they were offered; all of them durable at the end
    took: int  # until the last was durable
    user: int  # CPU time of the whole process, also of the loop that offers
    system: int  # and what the kernel took for it
    lag: tuple[int, int, int]  # p50, p99, p99.9
    bytes: int = 0
    groups: int = 0
    dropped: int = 0
    sync: tuple[int, int, int] = (0, 0, 0)  # of the sync alone

    @property
    def cpu(self) -> int:
        return self.user + self.system


def _cpu() -> tuple[int, int]:
    """User and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return int(used.ru_utime * 1e9), int(used.ru_stime * 1e9)


class Feed:
    """Says how many frames have come."""

    def __init__(self, rate: int, seconds: float) -> None:
        self.rate = rate
        self.burst = rate // 1000 or _ALWAYS
        self._window = int(seconds * 1e9)
        self._cpu, self.wall, self.start = _cpu(), time.time_ns(), time.perf_counter_ns()

    def now(self) -> int:
        return time.perf_counter_ns() - self.start

    def cpu(self) -> tuple[int, int]:
        """User and system time since the start."""
        (user, system), (user_before, system_before) = _cpu(), self._cpu
        return user - user_before, system - system_before

    def is_over(self) -> bool:
        return self.now() >= self._window

    def come(self, taken: int) -> int:
        """How many frames of the burst that is next are there and not taken."""
        left = self.burst - taken % self.burst
        return left if not self.rate or self.due(taken) <= self.now() else 0

    def due(self, frame: int) -> int:
        """When a frame comes; at rate 0, now."""
        return frame // self.burst * _TICK_NS if self.rate else self.now()

    def pause(self) -> float:
        """Seconds to the next burst."""
        return (_TICK_NS - self.now() % _TICK_NS) / 1e9

    def result(self, taken: int, syncs: list[tuple[int, int]]) -> Run:
        """Of an engine that noted after each sync how many frames are durable, and when."""
        took, cpu = self.now(), self.cpu()
        durable = [frames for frames, _ in syncs]
        lags = []
        for frame in range(0, taken, taken // _SAMPLES + 1):
            at = bisect_right(durable, frame)
            before = syncs[at - 1][1] if at else 0
            lags.append(syncs[at][1] - (self.due(frame) if self.rate else before))
        lags.sort()
        return Run(self.offered(taken), taken, took, *cpu, _quantiles(lags))

    def offered(self, taken: int) -> int:
        return self._window // _TICK_NS * self.burst if self.rate else taken


def _quantiles(ordered: list[int]) -> tuple[int, int, int]:
    last = len(ordered) - 1
    return ordered[last // 2], ordered[last * 99 // 100], ordered[last * 999 // 1000]


def open_log_writer(scratch: Path, *, min_free_mb: float = 0) -> LogWriter:
    """One that does not rotate while it is measured."""
    return LogWriter(
        LocalStorage(str(scratch)),
        active_path="active",
        ready_path="ready",
        quarantine_path="quarantine",
        source="bench",
        segment_max_mb=8192,
        min_free_mb=min_free_mb,
    )


def wait_until_durable(writer: LogWriter, position: int) -> None:
    while writer.durable_position < position:
        time.sleep(_PATIENCE)


def _counted(writer: LogWriter, position: int) -> WriterStats:
    """The counters once a position is in them: they follow the durable position."""
    while (stats := writer.stats()).frames < position:
        time.sleep(_PATIENCE)
    return stats


def log_writer(scratch: Path, frames: list[bytes], rate: int, seconds: float) -> Run:
    with open_log_writer(scratch) as writer:
        # The first frame opens the segment; that is not what is measured.
        first = writer.append(frames[0], capture_ns=time.time_ns(), conn="c1")
        before, append = _counted(writer, first), writer.append
        taken, position = 0, first
        feed = Feed(rate, seconds)
        while not feed.is_over():
            come = feed.come(taken)
            if not come:
                time.sleep(feed.pause())
                continue
            capture_ns, at = feed.wall + feed.due(taken), taken % len(frames)
            try:
                for frame in frames[at : at + come]:
                    position = append(frame, capture_ns=capture_ns, conn="c1")
            except QueueFullError:
                time.sleep(_PATIENCE)
            taken = position - first
        wait_until_durable(writer, position)
        took, (user, system) = feed.now(), feed.cpu()
        stats = _counted(writer, position)
        if stats.frames != position:
            raise SystemExit(f"{position} frames were taken, {stats.frames} are durable")
    return Run(
        offered=feed.offered(taken),
        frames=taken,
        took=took,
        user=user,
        system=system,
        lag=(stats.lag_p50_ns, stats.lag_p99_ns, stats.lag_p999_ns),
        bytes=stats.bytes - before.bytes,
        groups=stats.groups - before.groups,
        dropped=stats.dropped,
    )


def _plain(scratch: Path, frames: list[bytes], rate: int, seconds: float, *, per: int) -> Run:
    """Frames and line breaks, nothing checked, synced after so many."""
    syncs: list[tuple[int, int]] = []
    waiting: list[bytes] = []
    with (scratch / "plain").open("wb", buffering=0) as file:

        def sync() -> None:
            file.write(b"".join(waiting))
            os.fsync(file.fileno())
            syncs.append((taken, feed.now()))
            waiting.clear()

        taken = 0
        feed = Feed(rate, seconds)
        while not feed.is_over():
            come = feed.come(taken)
            if not come:
                time.sleep(feed.pause())
                continue
            at = taken % len(frames)
            for frame in frames[at : at + come]:
                waiting.append(frame + b"\n")
                taken += 1
                if len(waiting) == per:
                    sync()
                    if feed.is_over():
                        break
        if waiting:
            sync()
        return feed.result(taken, syncs)


def plain_per_100(scratch: Path, frames: list[bytes], rate: int, seconds: float) -> Run:
    return _plain(scratch, frames, rate, seconds, per=100)


def plain_per_1(scratch: Path, frames: list[bytes], rate: int, seconds: float) -> Run:
    return _plain(scratch, frames, rate, seconds, per=1)


def predecessor(scratch: Path, frames: list[bytes], rate: int, seconds: float) -> Run:
    """The design before this one: a queue of messages, each to a dict and back to JSON, an fsync
    after a hundred, all on one event loop."""
    return asyncio.run(_predecessor(scratch, frames, rate, seconds))


async def _predecessor(scratch: Path, frames: list[bytes], rate: int, seconds: float) -> Run:
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(10_000)
    syncs: list[tuple[int, int]] = []
    feed = Feed(rate, seconds)

    async def write() -> None:
        written, waiting = 0, []
        with (scratch / "predecessor").open("wb") as file:
            while True:
                message = await queue.get()
                if message is not None:
                    record = {
                        "capture_ts": time.time(),
                        "data": json.loads(message),
                        "metadata": {"source": "coinbase", "channel": "level2"},
                    }
                    waiting.append(orjson.dumps(record) + b"\n")
                if len(waiting) == 100 or (message is None and waiting):
                    file.writelines(waiting)
                    file.flush()
                    os.fsync(file.fileno())
                    written += len(waiting)
                    syncs.append((written, feed.now()))
                    waiting.clear()
                if message is None:
                    return

    writer = asyncio.create_task(write())
    taken = 0
    while not feed.is_over():
        come = feed.come(taken)
        if not come:
            await asyncio.sleep(feed.pause())
            continue
        at = taken % len(frames)
        for frame in frames[at : at + come]:
            await queue.put(frame)
            taken += 1
            if taken % 100 == 0 and feed.is_over():
                break
    await queue.put(None)
    await writer
    return feed.result(taken, syncs)


Engine = Callable[[Path, list[bytes], int, float], Run]
ENGINES: dict[str, Engine] = {
    "LogWriter": log_writer,
    "Python, fsync per 100": plain_per_100,
    "Python, fsync per record": plain_per_1,
    "predecessor": predecessor,
}

"""Single questions about the writer, each asked in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from append_engines import open_log_writer, wait_until_durable
from append_frames import make_frames

from fluxforge import _native
from fluxforge.errors import QueueFullError
from fluxforge.ingestion.writers import LogWriter

_BLOCK = 200
_alive: list[LogWriter] = []  # a writer that is dropped is closed; these die with the process


def ask(probe: Callable[..., Any], *arguments: Any) -> Any:
    """Run a probe in a fresh process, and end that without any closing."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(there, probe, arguments))
    process.start()
    there.close()
    answer = here.recv()
    process.join()
    return answer


def _answer(there: Connection, probe: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    there.send(probe(*arguments))
    os.kill(os.getpid(), signal.SIGKILL)


def append_ns(scratch: Path) -> float:
    """What one append costs the caller, the loop around it included: the median of blocks."""
    frames = make_frames(_BLOCK)
    times = []
    writer = open_log_writer(scratch)
    _alive.append(writer)
    append = writer.append
    for _ in range(400):
        capture_ns = time.time_ns()
        before = time.perf_counter_ns()
        for frame in frames:
            position = append(frame, capture_ns=capture_ns, conn="c1")
        times.append((time.perf_counter_ns() - before) / _BLOCK)
        wait_until_durable(writer, position)
    return median(times)


def queued_memory(scratch: Path) -> float:
    """Memory by bytes queued, when the queue is full and the disk takes nothing."""
    frames = make_frames(20_000)
    # A disk that must keep more free than it has: the thread waits, with a group in its hands.
    writer = open_log_writer(scratch, min_free_mb=1e9)
    _alive.append(writer)
    before, taken = _resident(), 0
    try:
        while True:
            writer.append(frames[taken % len(frames)], capture_ns=1, conn="c1")
            taken += 1
    except QueueFullError:
        pass
    time.sleep(0.1)
    return (_resident() - before) / writer.queue_bytes


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def torn_segment(scratch: Path, size: int) -> Path:
    """A segment whose writer was killed, without the end of its last group."""
    ask(_write_and_die, scratch, size)
    (path,) = (scratch / "active").glob("segment_*")
    os.truncate(path, path.stat().st_size - 1000)
    return path


def _write_and_die(scratch: Path, size: int) -> None:
    frames = make_frames(20_000)
    writer, position, written = open_log_writer(scratch), 0, 0
    _alive.append(writer)
    while written < size:
        frame = frames[position % len(frames)]
        try:
            position = writer.append(frame, capture_ns=time.time_ns(), conn="c1")
            written += len(frame) + 77  # its envelope
        except QueueFullError:
            time.sleep(0.001)
    wait_until_durable(writer, position)


def recovery_ns(scratch: Path) -> tuple[int, int]:
    """Wall and CPU time of closing what lies in active/."""
    places = [str(scratch / name) for name in ("active", "ready", "quarantine")]
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    report = _native.recover(*places)
    wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
    if [one.outcome for one in report] != ["sealed"]:
        raise SystemExit(f"recovery: {report}")
    return wall, cpu

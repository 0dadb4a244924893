"""Appending: what a frame costs the caller, and how fast frames become durable.

    pytest benches/bench_append.py

The floor beside it is plain Python: write 100 frames, fsync, on the same disk in the same run.
Figures are only ever compared within one run; nothing here asserts a time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from append_frames import make_frames
from pytest_benchmark.fixture import BenchmarkFixture

from fluxforge.errors import QueueFullError
from fluxforge.ingestion.writers import LogWriter
from fluxforge.storage import LocalStorage

FRAMES = 20_000


@pytest.fixture(scope="module")
def frames() -> list[bytes]:
    return make_frames(FRAMES)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[LogWriter]:
    with LogWriter(
        LocalStorage(str(tmp_path)),
        active_path="active",
        ready_path="ready",
        quarantine_path="quarantine",
        source="bench",
    ) as writer:
        yield writer


def test_append_one_frame(
    benchmark: BenchmarkFixture, writer: LogWriter, frames: list[bytes]
) -> None:
    """The caller's side: a copy into the queue."""
    frame, append = frames[0], writer.append

    def append_when_there_is_room() -> None:
        try:
            append(frame, capture_ns=1, conn="c1")
        except QueueFullError:
            time.sleep(0.01)

    benchmark(append_when_there_is_room)


def test_frames_durable(
    benchmark: BenchmarkFixture, writer: LogWriter, frames: list[bytes]
) -> None:
    """All the way: validated, written in groups, synced."""

    def until_durable() -> None:
        for frame in frames:
            position = writer.append(frame, capture_ns=time.time_ns(), conn="c1")
        while writer.durable_position < position:
            time.sleep(0.0001)

    benchmark(until_durable)


def test_floor_plain_python_fsync_per_100(
    benchmark: BenchmarkFixture, tmp_path: Path, frames: list[bytes]
) -> None:
    with (tmp_path / "plain").open("wb", buffering=0) as file:

        def until_durable() -> None:
            for start in range(0, FRAMES, 100):
                file.write(b"\n".join(frames[start : start + 100]))
                os.fsync(file.fileno())

        benchmark(until_durable)

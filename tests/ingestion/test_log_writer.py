"""LogWriter as its users meet it: threads, event loops, kills and full disks for real."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import probing
import segment_bytes
import written_segment
from fluxforge.errors import (
    ConfigError,
    QueueFullError,
    SegmentError,
    SegmentFormatError,
    SegmentWriteError,
    StorageAccessError,
    WriterLockedError,
)
from fluxforge.ingestion.writers import LogWriter
from fluxforge.storage import LocalStorage

NOW = 1_764_770_400_123_456_789


def make(root: Path, **arguments: Any) -> LogWriter:
    arguments = {"source": "test", **arguments}
    return LogWriter(
        LocalStorage(str(root)),
        active_path="active",
        ready_path="ready",
        quarantine_path="quarantine",
        **arguments,
    )


def wait_until(condition: Any, what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.01)


# -- what is written ------------------------------------------------------------------------------


def test_a_script_without_an_event_loop_writes_a_sealed_segment(tmp_path: Path) -> None:
    frames = [b'{"a": [1, 2.5e3, "\\u00e9"]}', b"not json\n", b"\xff\x00", b"", b"[1]"]
    with make(tmp_path) as writer:
        positions = [writer.append(frame, capture_ns=NOW, conn="c 1") for frame in frames]
        writer.append_event("gap", capture_ns=NOW + 1, conn="c 1", missing=3)
    assert positions == [1, 2, 3, 4, 5]
    assert writer.durable_position == 6
    (segment,) = written_segment.read_all(tmp_path / "ready")
    assert segment.frames == frames
    assert segment.events == [{"conn": "c 1", "kind": "gap", "missing": 3}]
    assert segment.header["source"] == "test"
    assert segment.header["name"] == segment.name
    assert segment.seal["first_ts"] == "2025-12-03T14:00:00.123456789Z"
    assert segment.seal["last_ts"] == "2025-12-03T14:00:00.123456790Z"
    assert list((tmp_path / "active").glob("segment_*")) == []


@settings(max_examples=25, deadline=None)
@given(frames=st.lists(st.binary() | st.text().map(str.encode), min_size=1, max_size=20))
def test_any_bytes_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, frames: list[bytes]
) -> None:
    root = tmp_path_factory.mktemp("any")
    with make(root) as writer:
        for frame in frames:
            writer.append(frame, capture_ns=NOW, conn="c")
    (segment,) = written_segment.read_all(root / "ready")
    assert segment.frames == frames
    assert segment.events == []


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_the_seal_says_what_durable_meant(tmp_path: Path, durability: Any) -> None:
    with make(tmp_path, durability=durability) as writer:
        writer.append(b"{}", capture_ns=NOW, conn="c")
    (segment,) = written_segment.read_all(tmp_path / "ready")
    assert segment.seal["durability"] == durability
    assert segment.header["durability"] == durability


@pytest.mark.parametrize("is_harmed", [False, True])
def test_recovery_that_found_damage_is_an_error_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, is_harmed: bool
) -> None:
    segment = segment_bytes.SegmentBytes()
    for number in range(3):
        segment.frames(segment_bytes.envelope(b'"quarantine %d"' % number))
        segment.checkpoint()
    data = segment.data.replace(b"quarantine 1", b"quarantine X" if is_harmed else b"quarantine 1")
    (tmp_path / "active").mkdir()
    (tmp_path / "active/segment_20251203T14_00001.ndjson").write_bytes(data)
    with caplog.at_level(logging.INFO), make(tmp_path) as writer:
        (recovered,) = writer.recovered
    assert (recovered.outcome, recovered.damaged) == ("sealed", is_harmed)
    (told,) = [one for one in caplog.records if "recovered segment" in one.message]
    assert told.levelno == (logging.ERROR if is_harmed else logging.INFO)


def test_without_records_there_is_no_segment(tmp_path: Path) -> None:
    with make(tmp_path) as writer:
        writer.rotate_sync()
        writer.rotate_sync()
    assert list((tmp_path / "ready").iterdir()) == []


@pytest.mark.parametrize("conn", ["", 'a"b', "a\\b", "a\nb", "é", "x" * 65])
def test_a_connection_that_could_break_a_line_is_refused(tmp_path: Path, conn: str) -> None:
    with make(tmp_path) as writer:
        with pytest.raises(ValueError, match="connection"):
            writer.append(b"{}", capture_ns=NOW, conn=conn)
        with pytest.raises(ValueError, match="connection"):
            writer.append_event("gap", capture_ns=NOW, conn=conn)


# -- rotation -------------------------------------------------------------------------------------


def test_segments_stay_below_their_size_and_hold_everything_once(tmp_path: Path) -> None:
    frames = [b'{"n":%d,"p":"%s"}' % (n, b"x" * 500) for n in range(2000)]

    async def write() -> None:
        async with make(tmp_path, segment_max_mb=0.125) as writer:
            for start in range(0, len(frames), 50):
                for frame in frames[start : start + 50]:
                    position = writer.append(frame, capture_ns=NOW, conn="c")
                await writer.durable(position)

    asyncio.run(write())
    segments = written_segment.read_all(tmp_path / "ready", verify_sums=False)
    assert len(segments) >= 8
    assert [frame for segment in segments for frame in segment.frames] == frames
    sizes = [path.stat().st_size for path in (tmp_path / "ready").iterdir()]
    assert max(sizes) < 0.125 * 2**20 + 1000, "one checkpoint and the seal may go over"
    assert len({segment.header["uid"] for segment in segments}) == len(segments)


def test_a_silent_segment_is_sealed_at_its_age(tmp_path: Path) -> None:
    writer = make(tmp_path, segment_max_seconds=0.3)
    writer.append(b"{}", capture_ns=NOW, conn="c")
    wait_until(lambda: list((tmp_path / "ready").iterdir()), "the silent rotation", 10)
    time.sleep(1)
    assert len(list((tmp_path / "ready").iterdir())) == 1, "silence makes no further segments"
    writer.close_sync()
    assert len(list((tmp_path / "ready").iterdir())) == 1


def test_numbers_never_come_again_not_even_after_their_segments_are_gone(tmp_path: Path) -> None:
    for expected in ("00001", "00002", "00003"):
        with make(tmp_path) as writer:
            writer.append(b"{}", capture_ns=NOW, conn="c")
        (path,) = (tmp_path / "ready").iterdir()
        assert path.name.split("_")[2] == f"{expected}.ndjson"
        path.unlink()


def test_an_open_connection_is_named_by_the_next_segment(tmp_path: Path) -> None:
    with make(tmp_path) as writer:
        writer.append(b"{}", capture_ns=NOW, conn="gone")
        writer.append_event("disconnected", capture_ns=NOW, conn="gone")
        writer.append(b"{}", capture_ns=NOW, conn="open")
        writer.rotate_sync()
        (path,) = (tmp_path / "active").glob("segment_*")
        header = json.loads(path.read_bytes().split(b"\n")[0])["segment"]
        assert header["open"] == {"open": "2025-12-03T14:00:00.123456789Z"}
        writer.rotate_sync()
        assert path.exists(), "a segment without records is not sealed"
    assert not path.exists()
    assert len(list((tmp_path / "ready").iterdir())) == 1


def test_rotate_seals_what_was_accepted_before_it(tmp_path: Path) -> None:
    async def write() -> None:
        writer = make(tmp_path)
        for _ in range(3):
            for _ in range(100):
                writer.append(b"{}", capture_ns=NOW, conn="c")
            await writer.rotate()
        await writer.close()

    asyncio.run(write())
    segments = written_segment.read_all(tmp_path / "ready", verify_sums=False)
    assert [len(segment.frames) for segment in segments] == [100, 100, 100]


# -- back-pressure --------------------------------------------------------------------------------


def fill(writer: LogWriter) -> int:
    """Append until the queue refuses; how many it took."""
    for taken in range(10**7):
        try:
            writer.append(b"x" * 1000, capture_ns=NOW, conn="c")
        except QueueFullError:
            return taken
    raise AssertionError("the queue has no bound")


def test_a_full_queue_refuses_and_drain_makes_room(tmp_path: Path) -> None:
    async def write() -> int:
        async with make(tmp_path, queue_max_mb=0.1) as writer:
            taken = 0
            for _ in range(20):
                taken += fill(writer)
                assert writer.queue_bytes <= 0.1 * 2**20
                async with asyncio.timeout(20):
                    await writer.drain()
                writer.append(b"x" * 1000, capture_ns=NOW, conn="c")
                taken += 1
            return taken

    taken = asyncio.run(write())
    segments = written_segment.read_all(tmp_path / "ready", verify_sums=False)
    assert sum(len(segment.frames) for segment in segments) == taken


def test_a_frame_larger_than_the_queue_is_taken_alone(tmp_path: Path) -> None:
    with make(tmp_path, queue_max_mb=0.001) as writer:
        big = b"%d" % 10**4000
        assert writer.append(big, capture_ns=NOW, conn="c") == 1
        wait_until(lambda: writer.durable_position == 1, "the big frame")
    assert written_segment.read_all(tmp_path / "ready")[0].frames == [big]


def test_every_dropped_frame_is_counted_and_recorded(tmp_path: Path) -> None:
    with make(tmp_path, queue_max_mb=0.05, on_full="drop") as writer:
        positions = [
            writer.append(b"x" * 1000, capture_ns=NOW + n, conn=f"c{n % 2}") for n in range(20_000)
        ]
        refused = positions.count(0)
        assert writer.stats().dropped == refused > 0
    segments = written_segment.read_all(tmp_path / "ready", verify_sums=False)
    events = [event for segment in segments for event in segment.events]
    assert {event["kind"] for event in events} == {"dropped"}
    assert {event["conn"] for event in events} == {"c0", "c1"}
    assert sum(event["frames"] for event in events) == refused
    assert sum(event["bytes"] for event in events) == refused * 1000
    assert sum(len(segment.frames) for segment in segments) == 20_000 - refused
    assert all(event["first_ts"] <= event["last_ts"] for event in events)


# -- awaiting -------------------------------------------------------------------------------------


def test_durable_returns_once_the_frame_is_on_disk(tmp_path: Path) -> None:
    async def write() -> None:
        writer = make(tmp_path)
        position = writer.append(b'{"here":1}', capture_ns=NOW, conn="c")
        await writer.durable(position)
        (path,) = (tmp_path / "active").glob("segment_*")
        assert b'{"here":1}' in path.read_bytes()
        await writer.durable(0)
        with pytest.raises(SegmentError, match="never given out"):
            await writer.durable(position + 1)
        await writer.close()

    asyncio.run(write())


def test_cancelled_waiters_disturb_nobody(tmp_path: Path) -> None:
    async def write() -> None:
        async with make(tmp_path) as writer:
            for _ in range(50):
                position = writer.append(b"{}", capture_ns=NOW, conn="c")
                cancelled = [asyncio.create_task(writer.durable(position)) for _ in range(3)]
                waiting = asyncio.create_task(writer.durable(position))
                await asyncio.sleep(0)
                for task in cancelled:
                    task.cancel()
                async with asyncio.timeout(10):
                    await waiting
                await asyncio.gather(*cancelled, return_exceptions=True)

    asyncio.run(write())


def test_waiters_wake_in_any_order_and_in_a_second_loop(tmp_path: Path) -> None:
    writer = make(tmp_path)

    async def wait_for_many() -> None:
        positions = [writer.append(b"{}", capture_ns=NOW, conn="c") for _ in range(500)]
        random.Random(7).shuffle(positions)
        async with asyncio.timeout(10):
            await asyncio.gather(*(writer.durable(position) for position in positions))

    asyncio.run(wait_for_many())
    asyncio.run(wait_for_many())
    writer.close_sync()


def test_when_the_disk_is_gone_the_writer_stops_loudly(tmp_path: Path) -> None:
    async def write() -> None:
        writer = make(tmp_path)
        writer.append(b'{"n":1}', capture_ns=NOW, conn="c")
        writer.append_event("disconnected", capture_ns=NOW, conn="c")
        await writer.rotate()
        # Nothing is open now; the next segment finds no directory, nor does the one after it.
        (tmp_path / "active").rename(tmp_path / "gone")
        position = writer.append(b'{"n":2}', capture_ns=NOW, conn="c")
        waiting = [asyncio.create_task(writer.durable(position)) for _ in range(2)]
        async with asyncio.timeout(10):
            results = await asyncio.gather(*waiting, return_exceptions=True)
        for result in results:
            assert isinstance(result, SegmentWriteError)
            assert result.errno == 2
        assert writer.error is not None
        with pytest.raises(SegmentWriteError):
            writer.append(b"{}", capture_ns=NOW, conn="c")
        with pytest.raises(SegmentWriteError):
            await writer.drain()
        with pytest.raises(SegmentWriteError):
            await writer.close()

    asyncio.run(write())
    (segment,) = written_segment.read_all(tmp_path / "ready")
    assert segment.frames == [b'{"n":1}']


def test_closing_twice_is_fine_and_appending_afterwards_is_not(tmp_path: Path) -> None:
    async def write() -> None:
        writer = make(tmp_path)
        await writer.close()
        await writer.close()
        with pytest.raises(SegmentError, match="closed"):
            writer.append(b"{}", capture_ns=NOW, conn="c")
        with pytest.raises(SegmentError, match="closed"):
            writer.rotate_sync()

    asyncio.run(write())


# -- starting -------------------------------------------------------------------------------------


def test_two_writers_need_two_ids(tmp_path: Path) -> None:
    with make(tmp_path) as writer:
        with pytest.raises(WriterLockedError, match="writer_id"):
            make(tmp_path)
        with make(tmp_path, writer_id="b") as other:
            writer.append(b"1", capture_ns=NOW, conn="c")
            other.append(b"2", capture_ns=NOW, conn="c")
            assert other.recovered == []
    names = sorted(path.name for path in (tmp_path / "ready").iterdir())
    assert [name.split("_", 2)[2] for name in names] == ["00001.ndjson", "00001_b.ndjson"]


def test_a_directory_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "active").write_text("in the way")
    with pytest.raises(StorageAccessError, match="active") as caught:
        make(tmp_path)
    assert "check that" in str(caught.value)
    assert caught.value.exit_code == 2


def test_directories_on_two_file_systems_are_refused_at_the_start(
    tmp_path: Path, small_disk: Path
) -> None:
    (tmp_path / "ready").symlink_to(small_disk, target_is_directory=True)
    with pytest.raises(ConfigError, match="different file systems") as caught:
        make(tmp_path)
    assert caught.value.exit_code == 2


def test_directories_on_two_mounts_of_one_file_system_are_refused_at_the_start(
    tmp_path: Path,
) -> None:
    (tmp_path / "elsewhere").mkdir()
    with (
        probing.bind_mount(tmp_path / "elsewhere", tmp_path / "ready"),
        pytest.raises(ConfigError, match="different file systems or mounts"),
    ):
        make(tmp_path)
    assert list((tmp_path / "active").glob(".moving*")) == [], "the probe stays nowhere"


@pytest.mark.parametrize("writer_id", ["", "a/b", "../x", ".hidden", "x" * 65])
def test_an_id_that_cannot_stand_in_a_name_is_a_config_error(
    tmp_path: Path, writer_id: str
) -> None:
    with pytest.raises(ConfigError, match="writer_id"):
        make(tmp_path, writer_id=writer_id)


def test_a_newer_format_is_refused_and_left_untouched(tmp_path: Path) -> None:
    newer = tmp_path / "active" / "segment_20990101T00_00001.ndjson"
    newer.parent.mkdir()
    newer.write_text('{"segment":{"format":2,"uid":"?"}}\n')
    with pytest.raises(SegmentFormatError, match="upgrade"):
        make(tmp_path)
    assert newer.read_text() == '{"segment":{"format":2,"uid":"?"}}\n'


class RemoteStorage(LocalStorage):
    """A storage that lies on no disk of this machine."""

    def local_path(self, path: str) -> Path | None:  # noqa: ARG002
        return None


def test_a_remote_storage_is_written_through_a_spool(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {
        "active_path": "raw/active/x",
        "ready_path": "raw/ready/x",
        "quarantine_path": "raw/quarantine/x",
        "source": "x",
    }
    storage = RemoteStorage(str(tmp_path / "remote"))
    with pytest.raises(ConfigError, match="spool_dir"):
        LogWriter(storage, **arguments)
    with LogWriter(storage, spool_dir=tmp_path / "spool", **arguments) as writer:
        writer.append(b"{}", capture_ns=NOW, conn="c")
    assert writer.ready_dir == tmp_path / "spool/raw/ready/x"
    assert len(written_segment.read_all(writer.ready_dir)) == 1


# -- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("segment_max_mb", [0.5, 256])
def test_what_was_acknowledged_survives_kill_9_once(tmp_path: Path, segment_max_mb: float) -> None:
    """Small segments are killed while they rotate, a large one while it grows."""
    chance = random.Random(20251203)
    worker = Path(__file__).with_name("append_until_killed.py")
    acknowledged: list[range] = []
    sent = 0
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, worker, tmp_path, str(sent), str(segment_max_mb)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        first, last = sent, -1
        for _ in range(chance.randrange(1, 40)):
            last = int(process.stdout.readline())
        time.sleep(chance.random() / 50)
        process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        last = max([last, *(int(line) for line in lines)])
        acknowledged.append(range(first, last + 1))
        # More may have been sent than was acknowledged; numbers are not used twice.
        sent = last + 1_000_000
    with make(tmp_path) as writer:
        assert {one.outcome for one in writer.recovered} <= {"sealed", "empty"}
    segments = written_segment.read_all(tmp_path / "ready", verify_sums=False)
    found = [json.loads(frame)["number"] for segment in segments for frame in segment.frames]
    assert found == sorted(set(found)), "each once, in order"
    assert not {number for run in acknowledged for number in run} - set(found)
    gaps = [event for segment in segments for event in segment.events if event["kind"] == "gap"]
    assert len(gaps) == 4, "each kill left its connection open"
    assert list((tmp_path / "active").glob("segment_*")) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    with probing.small_disk(tmp_path / "small") as where:
        yield where


def test_a_full_disk_holds_capture_until_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(512 << 10))
    frames = [b'{"n":%d,"p":"%s"}' % (n, b"x" * 1000) for n in range(800)]

    async def write() -> None:
        async with make(small_disk, queue_max_mb=0.2) as writer:
            freed = False
            for frame in frames:
                while True:
                    try:
                        writer.append(frame, capture_ns=NOW, conn="c")
                    except QueueFullError:
                        if not freed and writer.stats().waiting_for_space:
                            ballast.unlink()
                            freed = True
                        await asyncio.sleep(0.01)
                    else:
                        break
            assert freed, "the disk was never full"
            async with asyncio.timeout(20):
                await writer.durable(writer.accepted_position)
            assert not writer.stats().waiting_for_space
            assert writer.stats().poisonings == 0, "a full disk is no failure"

    asyncio.run(write())
    segments = written_segment.read_all(small_disk / "ready", verify_sums=False)
    assert [frame for segment in segments for frame in segment.frames] == frames


def test_min_free_holds_capture_before_the_disk_is_full(small_disk: Path) -> None:
    with make(small_disk, min_free_mb=0.5) as writer:
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(600 << 10))
        writer.append(b"{}", capture_ns=NOW, conn="c")
        wait_until(lambda: writer.stats().waiting_for_space, "the writer to see it")
        assert writer.durable_position == 0
        ballast.unlink()
        wait_until(lambda: writer.durable_position == 1, "the frame")


def test_a_writer_that_is_forgotten_on_a_full_disk_lets_other_threads_run(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(600 << 10))
    held = [make(small_disk, min_free_mb=0.5)]
    held[0].append(b"{}", capture_ns=NOW, conn="c")
    wait_until(lambda: held[0].stats().waiting_for_space, "the writer to see it")
    tidy = threading.Timer(0.2, ballast.unlink)
    tidy.start()
    before = time.monotonic()
    held.clear()
    assert time.monotonic() - before < 5, "the other thread made room, but only after the close"
    tidy.join()
    assert len(written_segment.read_all(small_disk / "ready")) == 1


def is_closed(writer: LogWriter) -> bool:
    try:
        writer.append(b"{}", capture_ns=NOW, conn="c")
    except SegmentError as error:
        return "closed" in str(error)
    return False


def test_closing_does_not_queue_behind_a_rotation_that_waits_for_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(600 << 10))

    async def write() -> None:
        writer = make(small_disk, min_free_mb=0.5)
        writer.append(b"{}", capture_ns=NOW, conn="c")
        rotating = asyncio.create_task(writer.rotate())
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(writer.close())
        try:
            async with asyncio.timeout(5):
                while not is_closed(writer):  # noqa: ASYNC110 - there is no event to wait for
                    await asyncio.sleep(0.01)
        finally:
            ballast.unlink()
        await rotating
        await closing

    asyncio.run(write())


def test_a_cancelled_close_still_tells_who_waits(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(600 << 10))

    async def write() -> None:
        writer = make(small_disk, min_free_mb=0.5)
        position = writer.append(b"{}", capture_ns=NOW, conn="c")
        waiting = asyncio.create_task(writer.durable(position))
        closing = asyncio.create_task(writer.close())
        await asyncio.sleep(0.05)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        ballast.unlink()
        async with asyncio.timeout(5):
            await waiting

    asyncio.run(write())

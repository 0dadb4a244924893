"""Uploads from the spool: nothing is dropped before it is there, nothing grows without bound."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.config import Config

from chaos_proxy import Fault, proxied
from fluxforge.errors import QueueFullError, StorageAccessError, StorageError
from fluxforge.ingestion.shipping import Shipper
from fluxforge.ingestion.writers import LogWriter
from raw_segments import durable_frames
from s3_servers import S3Server
from segments import CAPTURE_NS

ACTIVE = "raw/active/test"
READY = "raw/ready/test"
MIB = 1 << 20


def make_writer(storage, spool: Path, **arguments) -> LogWriter:
    return LogWriter(
        storage,
        active_path="raw/active/test",
        ready_path=READY,
        quarantine_path="raw/quarantine/test",
        source="test",
        writer_id="w1",
        spool_dir=spool,
        **arguments,
    )


@pytest.fixture
def storage(moto: S3Server):
    return moto.storage("desk")


@pytest.fixture
def writer(storage, tmp_path):
    with make_writer(storage, tmp_path / "spool") as writer:
        yield writer


def shipper(storage, writer, **arguments) -> Shipper:
    arguments.setdefault("max_bytes", 1 << 40)
    return Shipper(
        storage, writer=writer, active_path=ACTIVE, ready_path=READY, interval=0.01, **arguments
    )


def seal(writer, *frames: bytes) -> None:
    """One sealed segment with these frames."""
    for frame in frames:
        writer.append(frame, capture_ns=CAPTURE_NS, conn="c")
    writer.rotate_sync()


def uploaded(storage, tmp_path) -> Counter:
    """Every frame that lies in the storage."""
    found = Counter()
    for key in storage.list_files(READY):
        copy = tmp_path / "copy.ndjson"
        copy.write_bytes(storage.read_bytes(key))
        found.update(frame.strip() for frame in durable_frames(copy))
    return found


def test_a_segment_is_dropped_from_the_spool_when_it_is_there(storage, writer):
    seal(writer, b'{"n":1}')
    (segment,) = writer.ready_dir.iterdir()
    content = segment.read_bytes()
    ships = shipper(storage, writer)
    ships.ship_all()
    assert storage.read_bytes(f"{READY}/{segment.name}") == content
    assert list(writer.ready_dir.iterdir()) == []
    assert ships.stats().shipped == 1
    assert ships.stats().waiting == 0


def test_what_was_uploaded_before_a_crash_counts_as_uploaded(storage, writer):
    seal(writer, b'{"n":1}')
    (segment,) = writer.ready_dir.iterdir()
    storage.create_new_file(segment, f"{READY}/{segment.name}")
    shipper(storage, writer).ship_all()
    assert list(writer.ready_dir.iterdir()) == []
    assert storage.list_files(READY) == [f"{READY}/{segment.name}"]


def test_two_shippers_of_one_spool_take_each_segment_once(storage, writer):
    for number in range(4):
        seal(writer, f'{{"n":{number}}}'.encode())
    ships = [shipper(storage, writer) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(each.ship_all) for each in ships]:
            done.result()
    assert list(writer.ready_dir.iterdir()) == []
    assert len(storage.list_files(READY)) == 4


def test_another_writers_segment_of_the_name_stops_that_one_only(storage, writer):
    seal(writer, b'{"n":1}')
    seal(writer, b'{"n":2}')
    first, second = sorted(writer.ready_dir.iterdir())
    storage.write_bytes(b"another's", f"{READY}/{first.name}")
    with pytest.raises(StorageError, match="give each its own"):
        shipper(storage, writer).ship_all()
    assert list(writer.ready_dir.iterdir()) == [first]
    assert storage.exists(f"{READY}/{second.name}")
    assert storage.read_bytes(f"{READY}/{first.name}") == b"another's"


def test_a_segment_damaged_on_its_way_is_not_dropped_and_goes_up_again(moto, tmp_path):
    # moto believes any checksum: only looking at what lies there tells.
    with proxied(moto.endpoint) as proxy:
        storage = moto.storage(endpoint_url=proxy.endpoint)
        with make_writer(storage, tmp_path / "spool") as writer:
            seal(writer, b'{"n":1}' * 100)
            (segment,) = writer.ready_dir.iterdir()
            content = segment.read_bytes()
            proxy.plan("PUT", Fault.FLIP_UP)
            ships = shipper(storage, writer)
            with pytest.raises(StorageError, match="did not arrive"):
                ships.ship_all()
            assert segment.read_bytes() == content
            assert not storage.exists(f"{READY}/{segment.name}")
            ships.ship_all()
        assert storage.read_bytes(f"{READY}/{segment.name}") == content


def test_a_wrong_bucket_is_told_before_the_first_segment(moto, tmp_path, caplog):
    storage = moto.storage(bucket="no-such-bucket")
    stop = asyncio.Event()
    stop.set()
    with make_writer(storage, tmp_path / "spool") as writer:
        asyncio.run(shipper(storage, writer).run(stop))
    assert "there is no bucket 'no-such-bucket'" in caplog.text
    assert "Capture goes on" in caplog.text


def test_the_lag_is_the_oldest_segments_wait(storage, writer):
    seal(writer, b'{"n":1}')
    (segment,) = writer.ready_dir.iterdir()
    sealed = segment.stat().st_mtime
    stats = shipper(storage, writer, now=lambda: sealed + 90).stats()
    assert stats.lag_seconds == pytest.approx(90)
    assert stats.waiting == 1
    assert stats.waiting_bytes == segment.stat().st_size


def test_a_full_spool_holds_the_writer_and_an_emptier_one_lets_it_go(storage, writer):
    seal(writer, b'{"n":1}')
    ships = shipper(storage, writer, max_bytes=10)
    ships.hold_or_release()
    assert ships.stats().holding
    before = writer.durable_position
    position = writer.append(b'{"n":2}', capture_ns=CAPTURE_NS, conn="c")
    refused = False
    for _ in range(100):  # the queue takes 64 MiB and no more
        try:
            writer.append(b"x" * MIB, capture_ns=CAPTURE_NS, conn="c")
        except QueueFullError:
            refused = True
            break
    assert refused, "the writer is held: its queue fills, and then the caller waits"
    assert writer.durable_position == before < position
    ships.ship_all()
    ships.hold_or_release()
    assert not ships.stats().holding

    async def caught_up() -> None:
        await writer.durable(writer.accepted_position)

    asyncio.run(caught_up())


def test_closing_a_held_writer_keeps_what_it_has_taken(storage, tmp_path):
    writer = make_writer(storage, tmp_path / "spool")
    writer.hold(held=True)
    writer.append(b'{"n":1}', capture_ns=CAPTURE_NS, conn="c")
    writer.close_sync()
    (segment,) = writer.ready_dir.iterdir()
    assert list(durable_frames(segment)) == ['{"n":1}']


def test_a_storage_that_is_away_is_told_once_and_when_it_is_back(moto, tmp_path, caplog):
    with proxied(moto.endpoint) as proxy:
        storage = moto.storage(
            endpoint_url=proxy.endpoint, config=Config(retries={"total_max_attempts": 1})
        )
        with make_writer(storage, tmp_path / "spool") as writer:
            ships = shipper(storage, writer)
            seal(writer, b'{"n":1}')
            seal(writer, b'{"n":2}')
            proxy.down()
            with caplog.at_level(logging.INFO, "fluxforge.ingestion.shipping"):
                for _ in range(3):
                    with pytest.raises(StorageAccessError):
                        ships.ship_all()
                (told,) = [
                    r.getMessage()
                    for r in caplog.records
                    if r.name == "fluxforge.ingestion.shipping.alarm"
                ]
                assert "2 sealed segments" in told
                assert str(writer.ready_dir) in told
                assert ships.stats().error is not None
                proxy.up()
                ships.ship_all()
            assert "the spool is empty" in caplog.text
            assert ships.stats().error is None
            assert ships.stats().shipped == 2


def test_an_uploader_that_was_away_for_long_loses_nothing(moto, tmp_path):
    """The spool grows to its bound, then capture waits; in the end every frame is there once."""
    sent = []

    def append(writer) -> None:
        frame = f'{{"n":{len(sent)}}}' + " " * 60_000
        writer.append(frame.encode(), capture_ns=CAPTURE_NS, conn="c")
        sent.append(frame.strip())

    def fill(writer) -> None:
        while True:
            append(writer)

    async def capture(proxy, writer, ships) -> None:
        stop = asyncio.Event()
        uploads = asyncio.create_task(ships.run(stop))
        proxy.down()
        grown = []
        while not ships.stats().holding:
            grown.append(ships.stats().waiting_bytes)
            for _ in range(10):
                append(writer)
            await writer.rotate()
            ships.hold_or_release()
        assert grown == sorted(grown)
        assert grown[-1] <= 2 * MIB < ships.stats().waiting_bytes < 3 * MIB
        with pytest.raises(QueueFullError):
            fill(writer)
        proxy.up()
        await writer.drain()
        append(writer)
        await writer.close()
        stop.set()
        await uploads
        await asyncio.to_thread(ships.ship_all)

    with proxied(moto.endpoint) as proxy:
        storage = moto.storage(
            endpoint_url=proxy.endpoint, config=Config(retries={"total_max_attempts": 1})
        )
        writer = make_writer(storage, tmp_path / "spool", queue_max_mb=1)
        ships = shipper(storage, writer, max_bytes=2 * MIB)
        asyncio.run(asyncio.wait_for(capture(proxy, writer, ships), 120))
        assert list(writer.ready_dir.iterdir()) == []
        assert ships.stats().shipped >= 5
        assert uploaded(storage, tmp_path) == Counter(sent)

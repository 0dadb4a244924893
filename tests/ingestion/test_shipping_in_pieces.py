"""Segments that travel in pieces: what a lost machine leaves, and a writer taken for dead."""

from __future__ import annotations

import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from fluxforge.ingestion.shipping import Adopter, PieceStore, Publisher, Shipper
from fluxforge.ingestion.writers import LogWriter
from fluxforge.storage import LocalStorage
from raw_segments import durable_frames
from segments import CAPTURE_NS

ACTIVE, READY = "raw/active/test", "raw/ready/test"


class Elsewhere(LocalStorage):
    """A disk that is not this machine's."""

    def local_path(self, _path):
        return None


class Machine:
    """A writer with its spool and its uploads."""

    def __init__(self, storage, spool, **arguments):
        self.spool = spool
        self.writer = LogWriter(
            storage,
            active_path=ACTIVE,
            ready_path=READY,
            quarantine_path="raw/quarantine/test",
            source="test",
            writer_id="w1",
            spool_dir=spool,
        )
        self.shipper = Shipper(
            storage,
            writer=self.writer,
            active_path=ACTIVE,
            ready_path=READY,
            max_bytes=1 << 40,
            ship_interval=1,
            **arguments,
        )

    def record(self, *numbers: int) -> None:
        """One durable group for each."""
        for number in numbers:
            frame = f'{{"n":{number}}}'.encode()
            position = self.writer.append(frame, capture_ns=CAPTURE_NS + number, conn="c")
            while self.writer.durable_position < position:
                pass
            while self.writer.durable_mark().position < position:
                pass

    def ship(self) -> None:
        self.shipper.ship_all()

    def close(self) -> None:
        self.writer.append_event(
            "disconnected", capture_ns=CAPTURE_NS + 10**6, conn="c", cause="stop"
        )
        self.writer.close_sync()
        for _ in range(2):
            self.ship()


@pytest.fixture
def storage(tmp_path):
    return Elsewhere(tmp_path / "bucket")


@pytest.fixture
def machine(storage, tmp_path):
    machine = Machine(storage, tmp_path / "spool")
    yield machine
    machine.writer.close_sync()


def adopter(storage, **arguments) -> Adopter:
    arguments.setdefault("lease_seconds", 0)
    return Adopter(PieceStore(storage, path=ACTIVE), Publisher(storage, path=READY), **arguments)


def frames(storage, tmp_path) -> Counter:
    found = Counter()
    for key in storage.list_files(READY):
        copy = tmp_path / "copy.ndjson"
        copy.write_bytes(storage.read_bytes(key))
        found.update(int(frame[5:-1]) for frame in durable_frames(copy))
    return found


def test_what_was_shipped_of_a_lost_machine_is_published_by_another(storage, machine, tmp_path):
    machine.record(1, 2)
    machine.ship()
    machine.record(3)
    machine.ship()
    machine.record(4)  # durable on a disk that is lost now
    (finished,) = adopter(storage).look()
    assert finished.adopted
    assert frames(storage, tmp_path) == Counter([1, 2, 3])
    assert b'"kind":"gap"' in storage.read_bytes(finished.key), (
        "its connection is not known to live"
    )
    assert adopter(storage).look() == [], "and that was all"


def test_a_writer_taken_for_dead_goes_on_elsewhere_and_each_frame_is_there_once(
    storage, machine, tmp_path
):
    machine.record(1, 2)
    machine.ship()
    adopter(storage).look()
    machine.record(3, 4)
    machine.ship()
    machine.close()
    assert frames(storage, tmp_path) == Counter([1, 2, 3, 4])
    assert machine.shipper.stats().taken_over == 1
    assert list(machine.writer.ready_dir.glob("*.ndjson")) == []


def test_its_next_process_knows_it_too(storage, tmp_path):
    first = Machine(storage, tmp_path / "spool")
    first.record(1, 2)
    first.ship()
    first.record(3)
    adopter(storage).look()
    first.writer.close_sync()  # before it could ask
    second = Machine(storage, tmp_path / "spool")
    second.close()
    second.ship()
    assert frames(storage, tmp_path) == Counter([1, 2, 3])


def test_a_segment_in_pieces_is_published_once_and_leaves_nothing(storage, machine, tmp_path):
    machine.record(1)
    machine.ship()
    machine.record(2)
    machine.close()
    assert frames(storage, tmp_path) == Counter([1, 2])
    assert storage.list_files(ACTIVE) == []


def test_a_late_answer_to_the_last_piece_does_not_reopen_a_published_segment(
    storage, machine, tmp_path
):
    """It had arrived, its answer was lost, and the segment was closed after it."""
    machine.record(1)
    machine.ship()
    machine.record(2)
    name = machine.writer.durable_mark().segment
    before = machine.shipper._carrier._travels[name].offset
    machine.ship()
    machine.shipper._carrier._travels[name].offset = before
    adopter(storage).look()
    machine.record(3, 4)
    machine.ship()
    machine.close()
    assert frames(storage, tmp_path) == Counter([1, 2, 3, 4])


def test_many_adopters_at_once_make_one_segment(storage, machine, tmp_path):
    machine.record(1, 2)
    machine.ship()
    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(adopter(storage).look) for _ in range(4)]
        [look.result() for look in looks]
    assert frames(storage, tmp_path) == Counter([1, 2])


def test_a_segment_that_grows_is_left_alone_for_the_lease(storage, machine):
    now = [0.0]
    looks = adopter(storage, lease_seconds=10, monotonic=lambda: now[0])
    for number in range(3):
        machine.record(number)
        machine.ship()
        assert looks.look() == []
        now[0] += 9
    now[0] += 2
    assert len(looks.look()) == 1


def test_a_replaced_machine_counts_from_one_again_and_nothing_is_lost(storage, machine, tmp_path):
    machine.record(1)
    machine.ship()
    adopter(storage).look()
    machine.writer.close_sync()
    shutil.rmtree(machine.spool)
    other = Machine(storage, tmp_path / "spool2")
    other.record(7)
    other.close()
    assert frames(storage, tmp_path) == Counter([1, 7])


def test_with_a_spool_in_memory_durable_means_shipped(storage, tmp_path):
    writer = LogWriter(
        storage,
        active_path=ACTIVE,
        ready_path=READY,
        quarantine_path="raw/quarantine/test",
        source="test",
        writer_id="w1",
        spool_dir=tmp_path / "spool",
        awaits_shipping=True,
    )
    with writer:
        position = writer.append(b'{"n":1}', capture_ns=CAPTURE_NS, conn="c")
        while writer.durable_mark().position < position:
            pass
        assert writer.durable_position == 0
        ships = Shipper(
            storage,
            writer=writer,
            active_path=ACTIVE,
            ready_path=READY,
            max_bytes=1 << 40,
            ship_interval=1,
        )
        ships.ship_all()
        assert writer.durable_position == position

"""Claims: one holder at a time, and a dead or frozen one is replaced."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from counting_storage import CountingStorage
from fluxforge.etl.beats import beat, doing
from fluxforge.etl.claims import Claims
from fluxforge.etl.worker import Worker
from fluxforge.storage import LocalStorage
from processes import wait_until

PATH = "raw/processing/coinbase"


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def storage(tmp_path):
    return LocalStorage(tmp_path)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def claims_of(storage, clock):
    def make(worker=None):
        worker = worker or Worker.current()
        return Claims(storage, path=PATH, worker=worker, lease_seconds=30, monotonic=clock)

    return make


def elsewhere():
    """A worker of another host, whose death nobody here can see."""
    return replace(Worker.current(), name="elsewhere", host="another host")


def test_a_claimed_segment_is_refused_to_others(claims_of):
    assert claims_of().acquire("segment", "uid").epoch == 1
    assert claims_of().acquire("segment", "uid") is None


def test_of_many_at_once_one_wins(claims_of):
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda _: claims_of().acquire("segment", "uid"), range(64)))
    assert sum(claim is not None for claim in won) == 1


def test_segments_and_uids_are_claimed_apart(claims_of):
    claims = claims_of()
    assert claims.acquire("a", "uid")
    assert claims.acquire("b", "uid")
    assert claims.acquire("a", "other")
    assert claims.known() == {("a", "uid"), ("b", "uid"), ("a", "other")}


def test_a_cleared_claim_leaves_nothing(claims_of, storage):
    claims = claims_of()
    with claims.alive(claims.acquire("segment", "uid")):
        pass
    claims.clear("segment", "uid")
    assert storage.list_files(PATH) == []
    assert claims.acquire("segment", "uid").epoch == 1


def test_a_counter_that_stands_still_for_the_lease_loses_the_claim(claims_of, clock):
    claims_of(elsewhere()).acquire("segment", "uid")
    observer = claims_of()
    assert observer.acquire("segment", "uid") is None
    clock.now = 29.9
    assert observer.acquire("segment", "uid") is None
    clock.now = 30.1
    assert observer.acquire("segment", "uid").epoch == 2


def test_a_counter_that_moves_keeps_the_claim_whatever_the_clocks_say(claims_of, clock, storage):
    claim = claims_of(elsewhere()).acquire("segment", "uid")
    observer = claims_of()
    for count in range(5):
        storage.write_bytes(beat(count, "parsing"), claim.beat_key)
        assert observer.acquire("segment", "uid") is None
        clock.now += 29


def test_the_owner_bumps_its_counter_while_it_works(storage):
    claims = Claims(storage, path=PATH, worker=Worker.current(), lease_seconds=0.04)
    claim = claims.acquire("segment", "uid")
    with claims.alive(claim):
        first = storage.read_bytes(claim.beat_key)
        wait_until(
            lambda: storage.read_bytes(claim.beat_key) != first, what=lambda: "a second beat"
        )
    assert doing(first) == doing(storage.read_bytes(claim.beat_key)) == "parsing"


def test_a_process_that_died_on_this_host_loses_its_claim_at_once(claims_of):
    finished = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        check=True,
        capture_output=True,
        text=True,
    )
    dead = replace(Worker.current(), pid=int(finished.stdout))
    claims_of(dead).acquire("segment", "uid")
    assert claims_of().acquire("segment", "uid").epoch == 2


def test_a_reused_pid_is_another_process(claims_of):
    earlier = replace(Worker.current(), started=1)
    claims_of(earlier).acquire("segment", "uid")
    assert claims_of().acquire("segment", "uid").epoch == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b'{"worker":{}}'])
def test_a_claim_that_says_nothing_ends_with_the_lease(claims_of, clock, storage, content):
    storage.write_bytes(content, f"{PATH}/segment.uid.0001.json")
    observer = claims_of()
    assert observer.acquire("segment", "uid") is None
    clock.now = 31
    assert observer.acquire("segment", "uid").epoch == 2


def test_a_segment_name_with_pattern_characters_is_taken_literally(claims_of):
    claims = claims_of()
    assert claims.acquire("seg*ment", "uid")
    assert claims.acquire("seg[a]ment", "uid")
    assert claims.acquire("segXment", "uid")
    assert claims_of().acquire("seg*ment", "uid") is None


def test_a_held_claim_is_not_asked_about_at_every_poll(claims_of, clock, tmp_path):
    claims_of(elsewhere()).acquire("segment", "uid")
    counting = CountingStorage(tmp_path)
    observer = Claims(
        counting, path=PATH, worker=Worker.current(), lease_seconds=30, monotonic=clock
    )
    for _ in range(30):
        observer.look()
        assert observer.acquire("segment", "uid") is None
        clock.now += 0.9
    # The claim once; the beat at the first poll, then every quarter of the lease.
    assert counting.counts["read_bytes"] == 1 + 4


def test_a_claim_of_its_own_that_a_worker_left_behind_does_not_hold_it_up(claims_of):
    worker = Worker.current()
    assert claims_of(worker).acquire("segment", "uid").epoch == 1
    assert claims_of(worker).acquire("segment", "uid").epoch == 2

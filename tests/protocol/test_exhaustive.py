"""Every schedule of two or three real workers, every crash, every power cut: exactly once."""

from __future__ import annotations

import logging
import time

import pytest

from fluxforge.etl import claims, sweeper
from fluxforge.etl.worker import Worker
from protocol.canned import FRAMES, WITH_REJECTS, Canned, can
from protocol.explore import BrokenError, Explorer
from protocol.world import World


@pytest.fixture(scope="module")
def canned(tmp_path_factory) -> Canned:
    return can(tmp_path_factory.mktemp("canned"), FRAMES)


@pytest.fixture(autouse=True)
def _the_same_each_time(monkeypatch):
    """Workers differ by what they are told alone; their logs would be read by nobody."""
    monkeypatch.setattr(claims.secrets, "token_hex", lambda _size: "nonce")
    nobody = Worker(name="nobody", host="nowhere", pid=0, started=0)  # each gets its own name
    monkeypatch.setattr(Worker, "current", lambda: nobody)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def explore(world: World, *programs) -> Explorer:
    explorer = Explorer(
        programs,
        recovery=world.recovery(),
        check_step=world.wrong_step,
        check_disk=world.wrong_disk,
        check_end=world.wrong_end,
    )
    began = time.monotonic()
    explorer.explore(world.disk)
    runs = sum(program.runs for program in programs)
    print(
        f"{explorer.states} states, {explorer.steps} steps, {runs} runs of workers, "
        f"{time.monotonic() - began:.1f} s"
    )
    return explorer


def test_two_workers_of_one_recipe(canned):
    world = World(canned)
    explore(world, world.worker("float64"), world.worker("float64"))


def test_two_workers_of_two_recipes(canned):
    world = World(canned)
    explore(world, world.worker("float64"), world.worker("decimal"))


@pytest.mark.parametrize("retention", ["archive", "delete"])
def test_two_workers_of_two_recipes_and_a_sweeper(canned, retention):
    world = World(canned, raw_retention=retention)
    explore(world, world.worker("float64"), world.worker("decimal"), world.lake_sweeper())


def test_workers_and_a_quarantine(canned):
    """The first crash is enough, so that a worker may quarantine what another still parses."""
    world = World(canned, max_crashes=1)
    explore(world, world.worker("float64"), world.worker("decimal"), world.lake_sweeper())


def test_workers_and_who_sweeps_claims(canned):
    world = World(canned)
    explore(world, world.worker("float64"), world.worker("float64"), world.claims_sweeper())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_workers_with_rejects_and_a_sweeper(tmp_path):
    """A row to one recipe is a reject to the other; both write lists of rejects."""
    world = World(can(tmp_path, WITH_REJECTS))
    explore(world, world.worker("float64"), world.worker("decimal"), world.lake_sweeper())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_three_workers(canned):
    """Five million states, and 3 GB of memory."""
    world = World(canned)
    explore(world, world.worker("float64"), world.worker("decimal"), world.worker("float64"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_three_workers_and_the_first_crash_quarantines(canned):
    world = World(canned, max_crashes=1, raw_retention="delete")
    explore(world, world.worker("float64"), world.worker("decimal"), world.worker("float64"))


# -- the model itself must be able to fail: each rule of the protocol, left out -------------------


class Unsynced:
    """A storage whose user forgets to make durable what others wrote."""

    def __init__(self, storage):
        self._storage = storage

    def __getattr__(self, name):
        return getattr(self._storage, name)

    def ensure_durable(self, path):
        pass


def looks_once(job):
    job._ledger.find = lambda *_: None


def trusts_a_commit_that_it_merely_sees(job):
    job._ledger._storage = Unsynced(job._ledger._storage)


def trusts_parts_that_it_merely_sees(job):
    job._pipeline._storage = Unsynced(job._pipeline._storage)


def replaces_commits(job):
    def publish(commit):
        key = job._ledger.key(commit.segment, commit.uid)
        job._storage.write_bytes(commit.to_json(), key)
        return commit

    job._ledger.publish = publish


def sweeps_without_grace(job):
    job._sweeper._grace_seconds = -1


def deletes_without_an_archive(job):
    job._tidier._archive = lambda *_: None


def quarantines_without_a_copy(job):
    job._quarantine._copy = lambda *_: (0, "")


@pytest.mark.parametrize(
    ("mistake", "noticed"),
    [
        (looks_once, "had been committed before it was claimed"),
        (trusts_a_commit_that_it_merely_sees, "raw is gone"),
        (trusts_parts_that_it_merely_sees, "in a commit, and not durably there"),
        (replaces_commits, "a commit changed"),
        (sweeps_without_grace, "may be younger than the grace"),
        (deletes_without_an_archive, "raw is gone"),
        (quarantines_without_a_copy, "raw is gone"),
    ],
)
def test_a_rule_left_out_is_noticed(canned, mistake, noticed):
    crashes = 1 if mistake is quarantines_without_a_copy else 3
    world = World(canned, change=mistake, max_crashes=crashes)
    other = "float64" if mistake is trusts_parts_that_it_merely_sees else "decimal"
    with pytest.raises(BrokenError, match=noticed) as broken:
        explore(world, world.worker("float64"), world.worker(other), world.lake_sweeper())
    print(broken.value)


def test_a_sweeper_that_trusts_a_commit_that_it_merely_sees_is_noticed(canned, monkeypatch):
    monkeypatch.setattr(sweeper._Committed, "durably", lambda _self, uid: uid is not None)
    world = World(canned)
    with pytest.raises(BrokenError, match="without a durable commit was deleted"):
        explore(world, world.worker("float64"), world.worker("decimal"), world.lake_sweeper())

"""Workers as hypothesis likes them, on a real disk and on moto: steps in any order, ends anywhere.

Where the exhaustive model tries all schedules of a few steps, this one goes far: many segments,
plain files, copies under other names, settings that change, raw that comes back.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import fluxforge
from crashing_storage import PowerCut
from fluxforge.config import FluxForgeConfig
from fluxforge.etl import ETLJob
from fluxforge.etl.worker import Worker
from fluxforge.storage.base import StorageBackend
from fluxforge.storage.factory import create_storage_backend
from protocol.chaos import READY, Backlog, make_backlog

RECIPES = st.sampled_from([{}, {"numbers": "decimal"}, {"compression_level": 9}])


class Mortal:
    """A storage whose user dies before its nth change; `left` None: lives."""

    def __init__(self, storage: StorageBackend, *, left: int | None) -> None:
        self._storage = storage
        self._left = left

    def __getattr__(self, name):
        verb = getattr(self._storage, name)
        if name not in {"create_new", "write_bytes", "create_new_file", "delete"}:
            return verb
        return lambda *arguments: self._change(verb, *arguments)

    def create_all(self, objects):
        return [self.create_new(data, key) for data, key in objects]

    def _change(self, verb, *arguments):
        if self._left is not None:
            if self._left == 0:
                raise PowerCut
            self._left -= 1
        return verb(*arguments)


class Workers(RuleBasedStateMachine):
    """Segments arrive, workers come and go; the lake is what arrived, each once."""

    backlog: Backlog
    place: dict[str, object]

    def __init__(self) -> None:
        super().__init__()
        self.storage = create_storage_backend(self.config().storage)
        self.arrived: set[str] = set()

    def config(self, **etl: object) -> FluxForgeConfig:
        # Whoever is gone is known to be, as all are of this host: no lease has to pass.
        etl = {"single_worker": True, "max_crashes": 10**6, "lease": 1e6, **etl}
        return FluxForgeConfig.model_validate({"storage": self.place, "etl": etl})

    def job(self, recipe, *, left: int | None = None) -> ETLJob:
        storage = Mortal(self.storage, left=left)
        job = ETLJob(
            self.config(sweep_grace=0, sweep_interval=1e-6, **recipe),
            storage=storage,
            storage_output=storage,
        )
        # A process that has never been: whoever finds its claim sees that it is gone.
        job._claims._worker = replace(Worker.current(), started=1)
        return job

    @rule(number=st.integers(0, 5))
    def a_segment_arrives(self, number):
        name = sorted(self.backlog.segments)[number]
        self.storage.create_new(self.backlog.segments[name], f"{READY}/{name}")
        self.arrived.add(name)

    @rule(number=st.integers(0, 5))
    def a_copy_arrives_under_another_name(self, number):
        name = sorted(self.backlog.segments)[number]
        self.storage.create_new(self.backlog.segments[name], f"{READY}/copy-{number}.ndjson")
        self.arrived.add(name)

    @rule(recipe=RECIPES)
    def a_worker_runs(self, recipe):
        assert self.job(recipe).run_once().failures == {}

    @rule(recipe=RECIPES, left=st.integers(0, 20))
    def a_worker_dies(self, recipe, left):
        with suppress(PowerCut):
            self.job(recipe, left=left).run_once()

    @invariant()
    def raw_is_there_or_committed(self):
        committed = {commit.segment for commit in self.job({})._ledger.commits()}
        there = {key.rpartition("/")[2] for key in self.storage.list_files(READY)}
        for name in self.arrived - there:
            number = sorted(self.backlog.segments).index(name)
            assert name.removesuffix(".ndjson") in committed or f"copy-{number}.ndjson" in there, (
                name
            )

    def teardown(self) -> None:
        for _ in range(2):  # what was in a dead worker's hand, then what it left lying about
            job = self.job({})
            assert job.run_once().failures == {}
        job._sweeper.sweep()
        assert self.storage.list_files(READY) == []
        assert self.storage.list_files("raw/processing/coinbase") == []
        listed, rows = set(), Counter()
        for commit in job._ledger.commits():
            listed |= {part.key("processed/coinbase") for part in commit.parts}
            rows[f"{commit.segment}.ndjson"] += commit.balance.rows["level2"]
        assert rows == Counter(dict.fromkeys(self.arrived, 20))
        there = self.storage.list_files("processed/coinbase", "*.parquet", recursive=True)
        assert set(there) == listed
        if self.arrived:
            frame = fluxforge.scan(self.config(), "level2")
            assert frame.select(pl.len()).collect().item() == 20 * len(self.arrived)


@pytest.fixture(scope="module")
def backlog(tmp_path_factory) -> Backlog:
    return make_backlog(tmp_path_factory.mktemp("backlog"), segments=6)


def play(backlog: Backlog, place, *, examples: int) -> None:
    class OnThis(Workers):
        def __init__(self) -> None:
            self.backlog, self.place = backlog, place()
            super().__init__()

    run_state_machine_as_test(
        OnThis,
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def many(few, slow):
    """So many examples in every run of the tests, and so many with `-m slow`."""
    return pytest.mark.parametrize(
        "examples",
        [
            pytest.param(few, id=str(few)),
            pytest.param(slow, id=str(slow), marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
        ],
    )


@many(60, 1000)
def test_workers_on_a_disk_in_any_order(backlog, examples, tmp_path):
    def place():
        return {"base_dir": tempfile.mkdtemp(dir=tmp_path)}

    play(backlog, place, examples=examples)
    shutil.rmtree(tmp_path)


@many(5, 200)
def test_workers_on_moto_in_any_order(backlog, examples, moto):
    play(backlog, lambda: moto.config(moto.bucket()), examples=examples)

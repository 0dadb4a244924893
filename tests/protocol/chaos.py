"""Real ETL processes on one backlog, killed and frozen at random; and what must be true after."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

import fluxforge
from fluxforge.config import FluxForgeConfig
from fluxforge.etl import ETLJob, ETLWatcher
from fluxforge.etl.readers.zstd import decompressed
from fluxforge.storage.base import StorageBackend
from fluxforge.storage.factory import create_storage_backend
from segments import CAPTURE_NS, level2, local, write_segment

READY = "raw/ready/coinbase"
WORKERS = 8
DISTURBANCES = 16  # in a round; more, and nobody ever gets to the end of a segment
PATIENCE = 180.0  # seconds that a round may take on a machine that has much else to do
PAUSE = 0.1  # seconds between two at most
# Kills here are a deploy's that does not ask first; and workers freeze for longer than the lease.
SETTINGS = {"lease": 0.1, "poll_interval": 0.02, "poll_interval_max": 0.05, "max_crashes": 10**6}
RECIPES: tuple[dict[str, Any], ...] = ({}, {"numbers": "decimal"}, {"compression_level": 9})

# Children are forked from a process that has imported all this: eight starts of Python a round
# would take longer than the round.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["protocol.chaos"])


@dataclass(frozen=True)
class Backlog:
    """Segments as they lie in ready/, and the rows that they must become."""

    segments: dict[str, bytes]
    rows: Counter[tuple[str, int, float]]

    def put(self, storage: StorageBackend) -> None:
        for name, raw in self.segments.items():
            assert storage.create_new(raw, f"{READY}/{name}")


def make_backlog(where: Path, *, segments: int) -> Backlog:
    """Write segments with a few frames each, over two products and two days."""
    config, written, rows = local(where), {}, Counter()
    for number in range(segments):
        frames = []
        for sequence in range(20):
            product, price = ("BTC-USD", "ETH-USD")[sequence % 2], number + sequence / 32
            frames.append(level2(product, sequence, price))
            rows[product, sequence, price] += 1
        day = number % 2 * 86_400 * 10**9
        path = write_segment(config, frames, capture_ns=CAPTURE_NS + day)
        written[path.name] = path.read_bytes()
    return Backlog(written, rows)


def work(config: FluxForgeConfig) -> None:
    """Process segments until killed."""
    ETLWatcher.configured(config.etl, ETLJob(config)).run(threading.Event())


@dataclass
class Round:
    """One backlog under fire.

    Args:
        backlog: What is to be done.
        place: The `storage` section of the workers' configurations.
        chance: What happens when.
    """

    backlog: Backlog
    place: dict[str, Any]
    chance: random.Random
    kills: int = 0
    freezes: int = 0
    _workers: list[Any] = field(default_factory=list)
    _frozen: dict[Any, float] = field(default_factory=dict)

    def config(self, **etl: Any) -> FluxForgeConfig:
        # The probe of the storage has tests of its own, and takes longer than the round.
        settings = {**SETTINGS, "single_worker": True, **etl}
        return FluxForgeConfig.model_validate({"storage": self.place, "etl": settings})

    def run(self) -> None:
        storage = create_storage_backend(self.config().storage)
        self.backlog.put(storage)
        try:
            for _ in range(WORKERS):
                self._start()
            deadline = time.monotonic() + PATIENCE
            while storage.list_files(READY):
                time.sleep(self.chance.uniform(0, PAUSE))
                self._thaw()
                if self.kills + self.freezes < DISTURBANCES:
                    self._disturb()
                assert time.monotonic() < deadline, "the backlog does not come to an end"
        finally:
            for worker in self._workers:
                worker.kill()
                worker.join()
        self._raw_went_only_with_a_commit(storage)
        self._finish()
        self._lake_is_the_oracle(storage)

    def _start(self) -> None:
        config = self.config(**self.chance.choice(RECIPES))
        worker = _processes.Process(target=work, args=(config,), daemon=True)
        worker.start()
        self._workers.append(worker)

    def _thaw(self) -> None:
        now = time.monotonic()
        for worker, until in list(self._frozen.items()):
            if until <= now:
                _signal(worker, signal.SIGCONT)
                del self._frozen[worker]

    def _disturb(self) -> None:
        victim = self.chance.choice(self._workers)
        if self.chance.random() < 0.5:
            victim.kill()
            victim.join()
            self._workers.remove(victim)
            self._frozen.pop(victim, None)
            self.kills += 1
            self._start()
        elif len(self._frozen) < WORKERS - 2:  # someone has to get on
            _signal(victim, signal.SIGSTOP)
            self._frozen[victim] = time.monotonic() + self.chance.uniform(0, 5 * SETTINGS["lease"])
            self.freezes += 1

    def _raw_went_only_with_a_commit(self, storage: StorageBackend) -> None:
        ledger = ETLJob(self.config())._ledger
        committed = {commit.segment for commit in ledger.commits()}
        there = {key.rpartition("/")[2] for key in storage.list_files(READY)}
        for name in self.backlog.segments.keys() - there:
            assert name.removesuffix(".ndjson") in committed, f"{name} is gone without a commit"

    def _finish(self) -> None:
        """Someone starts the ETL again, and lets it run until it has nothing more to do."""
        job = ETLJob(self.config(sweep_grace=0, sweep_interval=0.001))
        deadline = time.monotonic() + PATIENCE
        while True:
            report = job.run_once()
            assert report.failures == {}, report.failures
            if not (report.ready or job._claims.known()):
                break
            assert time.monotonic() < deadline, "claims of the dead are never taken over"
        job._sweeper.sweep()

    def _lake_is_the_oracle(self, storage: StorageBackend) -> None:
        assert storage.list_files(READY) == []
        assert storage.list_files("raw/processing/coinbase") == []
        frame = fluxforge.scan(self.config(), "level2").collect()
        assert _rows(frame) == self.backlog.rows
        listed = set()
        for commit in ETLJob(self.config())._ledger.commits():
            listed |= {part.key("processed/coinbase") for part in commit.parts}
        there = storage.list_files("processed/coinbase", "*.parquet", recursive=True)
        assert set(there) == listed, "a glob over the directory sees other parts than the commits"
        archived = Counter(
            b"".join(decompressed(storage.read_chunks(key)))
            for key in storage.list_files("raw/archive/coinbase", recursive=True)
        )
        assert archived == Counter(self.backlog.segments.values())


def _rows(frame: pl.DataFrame) -> Counter[tuple[str, int, float]]:
    columns = frame.select("product_id", "sequence_num", pl.col("price_level").cast(pl.Float64))
    return Counter(columns.iter_rows())


def _signal(worker: Any, signum: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(worker.pid, signum)

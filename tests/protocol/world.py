"""The real ETL on one segment, as programs for the explorer; and what must always hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

from fluxforge.config import FluxForgeConfig
from fluxforge.etl import ETLJob
from fluxforge.etl.readers.zstd import decompressed
from fluxforge.etl.sweeper import SweepReport
from fluxforge.ledger import Commit
from protocol.canned import Canned, CannedPipeline
from protocol.disk_model import Disk, Verb
from protocol.explore import Event
from protocol.replay import ModelWorker, Program, ReplayStorage

Change = Callable[[ETLJob], object]


def no_change(_job: ETLJob) -> None:
    """The ETL as it ships."""


class ByChance:
    """A child process that survives or not."""

    def __init__(self, storage: ReplayStorage) -> None:
        self._storage = storage

    def survives(self, key: str, **_identity: str) -> bool:
        return self._storage.ask("survives", key)


class World:
    """One segment in ready/, in a lake that is registered already.

    Args:
        canned: The segment.
        change: A mistake to make in every job; the explorer must notice.
        etl: Settings.
    """

    def __init__(self, canned: Canned, *, change: Change = no_change, **etl: object) -> None:
        self.canned = canned
        self._change = change
        storage = {"base_dir": "nowhere"}
        self._config = FluxForgeConfig.model_validate({"storage": storage, "etl": etl})
        self._numbers = 0

    @property
    def disk(self) -> Disk:
        raw = {self.canned.key: self.canned.raw}
        return Disk(raw, raw)

    def worker(self, recipe: str) -> Program:
        """One pass over ready/."""
        return self._program(f"worker-{recipe}", recipe, lambda job: job.run_once())

    def lake_sweeper(self) -> Program:
        return self._program(
            "sweeper", "float64", lambda job: job._sweeper.sweep_lake(SweepReport())
        )

    def claims_sweeper(self) -> Program:
        return self._program(
            "sweeper", "float64", lambda job: job._sweeper.sweep_claims(SweepReport())
        )

    def recovery(self) -> Program:
        """A pass, and a sweep, by a worker that finds all others gone."""

        def run(job: ETLJob) -> None:
            job.run_once()
            job._sweeper.sweep()

        return self._program("recovery", "float64", run)

    def _program(self, name: str, recipe: str, do: Callable[[ETLJob], object]) -> Program:
        self._numbers += 1
        me = ModelWorker(name=f"{name}-{self._numbers}", host="any", pid=self._numbers, started=0)

        def run(storage: ReplayStorage) -> None:
            job = ETLJob(self._config, storage=storage, storage_output=storage)
            job._claims._worker = me
            job._pipeline = CannedPipeline(storage, self.canned, recipe=recipe, worker=me.name)
            job._rehearsal = ByChance(storage)
            job._unprobed.clear()
            job._registration._holds = True
            job._next_sweep = math.inf  # an actor of its own
            self._change(job)
            do(job)

        return Program(me.name, run)

    # -- what must hold ---------------------------------------------------------------------------

    def wrong_step(self, before: Disk, event: Event, after: Disk) -> str | None:
        """A commit never changes; nobody repeats what is done; a sweep is not rash."""
        key = self.canned.commit_key
        commit = before.visible.get(key)
        if commit is not None and after.visible.get(key) != commit:
            return "a commit changed"
        verb = event.verb
        if verb is None or event.actor is None or not _is_part(verb.key):
            return None
        if verb.name == "create" and event.actor.claimed_late:
            return "a segment was parsed that had been committed before it was claimed"
        if verb.name == "delete":
            if key not in before.durable:
                return "something of a segment without a durable commit was deleted"
            if Verb("old", verb.key) not in event.actor.moment.asked:
                return "a part was deleted that may be younger than the grace"
        return None

    def wrong_disk(self, disk: Disk) -> str | None:
        """Raw is there or safe; whatever a commit lists is there, also after a power cut."""
        record = disk.visible.get(self.canned.commit_key)
        if record is not None:
            for key, xxh3_bytes in self._listed(record):
                if disk.visible.get(key) != xxh3_bytes or disk.durable.get(key) != xxh3_bytes:
                    return f"{key} is in a commit, and not durably there"
        if self.canned.key in disk.visible and self.canned.key in disk.durable:
            return None
        if self._is_committed(disk) or self._is_quarantined(disk):
            return None
        return "raw is gone, and neither commit and archive nor quarantine are durable"

    def wrong_end(self, disk: Disk) -> str | None:
        """In the lake once and in the archive, or in quarantine; and nothing lies about."""
        if wrong := self.wrong_disk(disk):
            return wrong
        record = disk.durable.get(self.canned.commit_key)
        if record is None and not self._is_quarantined(disk):
            return "the segment is neither in the lake nor in quarantine"
        if self.canned.key in disk.visible:
            return "raw is still in ready/"
        listed = {key for key, _ in self._listed(record)} if record is not None else set()
        there = {key for key in disk.visible if _is_part(key)}
        if record is not None and there != listed:
            return f"a glob sees {there}, the commit lists {listed}"
        if claims := [key for key in disk.visible if "/processing/" in key]:
            return f"claims are left: {claims}"
        return None

    def _listed(self, record: bytes) -> list[tuple[str, bytes]]:
        return _listed(record, self.canned.commit_key, self._contents())

    def _contents(self) -> tuple[tuple[str, bytes], ...]:
        return tuple({k: v for o in self.canned.objects.values() for k, v in o.items()}.items())

    def _is_committed(self, disk: Disk) -> bool:
        if self.canned.commit_key not in disk.durable:
            return False
        archives = [v for k, v in disk.durable.items() if "/archive/" in k]
        return self._config.etl.raw_retention == "delete" or any(
            _unpacked(archive) == self.canned.raw for archive in archives
        )

    def _is_quarantined(self, disk: Disk) -> bool:
        name = f"raw/quarantine/coinbase/{self.canned.segment}.{self.canned.uid}"
        return (
            disk.durable.get(f"{name}.ndjson") == self.canned.raw
            and f"{name}.reason.json" in disk.durable
        )


def _is_part(key: str) -> bool:
    return key.startswith("processed/") and "/_commits/" not in key


@cache
def _listed(
    record: bytes, key: str, contents: tuple[tuple[str, bytes], ...]
) -> list[tuple[str, bytes]]:
    commit = Commit.from_json(record, key=key)
    keys = [part.key("processed/coinbase") for part in commit.parts]
    keys += [f"processed/coinbase/{name}" for name in commit.rejects]
    known = dict(contents)
    return [(each, known[each]) for each in keys]


@cache
def _unpacked(archive: bytes) -> bytes:
    return b"".join(decompressed([archive]))

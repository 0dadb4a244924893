"""One segment, and what two recipes make of it: worked out once by the real parser and writer.

The model runs workers thousands of times, and parsing is not what it is about.
`test_canned_pipeline` holds that the canned pipeline asks of its storage what the real one asks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from fluxforge.config import FluxForgeConfig
from fluxforge.etl import ETLJob
from fluxforge.ledger import Commit
from fluxforge.storage import LocalStorage
from fluxforge.storage.base import StorageBackend
from segments import level2, local, write_segment

FRAMES = [level2("BTC-USD", 0, 100.5)]
# A value of 19 places is a row to one recipe, a reject to the other.
WITH_REJECTS = [
    *FRAMES,
    b"rubbish",
    level2("BTC-USD", 9, 1.0).replace(b'"1.0"', b'"1.0000000000000000001"'),
]
RECIPES = {"float64": {}, "decimal": {"numbers": "decimal"}}


@dataclass(frozen=True)
class Canned:
    """A segment, and by recipe what becomes of it."""

    config: FluxForgeConfig
    key: str
    raw: bytes
    segment: str
    uid: str
    objects: dict[str, dict[str, bytes]]
    commits: dict[str, Commit]

    @property
    def commit_key(self) -> str:
        return f"processed/coinbase/_commits/{self.segment}.{self.uid}.json"


def can(where: Path, frames: list[bytes]) -> Canned:
    """Write a segment, and run the real pipeline on it under each recipe."""
    config = local(where)
    path = write_segment(config, frames)
    key = path.relative_to(where).as_posix()
    objects, commits = {}, {}
    segment, uid = ETLJob(config)._backlog.identify(key)
    for recipe, settings in RECIPES.items():
        output = where / recipe
        job = ETLJob(local(where, **settings), storage_output=LocalStorage(output))
        commit = job._pipeline.run(key, segment=segment, uid=uid)
        # Without the feed's other tables a sweeper has less to list, and the model less to do.
        balance = replace(commit.balance, rows={"level2": commit.balance.rows["level2"]})
        commits[recipe] = replace(commit, balance=balance)
        objects[recipe] = {
            written.relative_to(output).as_posix(): written.read_bytes()
            for written in sorted(output.rglob("*"))
            if written.is_file()
        }
    return Canned(config, key, path.read_bytes(), segment, uid, objects, commits)


class CannedPipeline:
    """Asks of its storage what the real pipeline asks, and knows the answer beforehand."""

    def __init__(
        self, storage: StorageBackend, canned: Canned, *, recipe: str, worker: str
    ) -> None:
        self._storage = storage
        self._canned = canned
        self._objects = canned.objects[recipe]
        self._commit = replace(canned.commits[recipe], worker=worker)

    def run(self, key: str, *, segment: str, uid: str) -> Commit:
        assert (segment, uid) == (self._canned.segment, self._canned.uid)
        assert b"".join(self._storage.read_chunks(key)) == self._canned.raw
        for rejects, data in self._objects.items():
            if "/_rejects/" in rejects and not self._storage.create_new(data, rejects):
                self._storage.ensure_durable(rejects)
        keys = [part.key("processed/coinbase") for part in self._commit.parts]
        parts = [(self._objects[part], part) for part in keys]
        created = self._storage.create_all(parts)
        for new, (data, part) in zip(created, parts, strict=True):
            if not new:
                assert self._storage.size(part) == len(data)
                assert self._storage.read_bytes(part) == data
                self._storage.ensure_durable(part)
        return self._commit

"""Removes what dead workers leave: parts that no commit lists, and what never became whole.

A segment's parts may be written twice, under two recipes: by a worker that died before it
committed, or by one that froze, woke late and lost. One commit says which count; the others are
litter that ``fluxforge.scan`` never sees and a glob over the directory does.

What may be removed, and nothing else:

- a part or a list of rejects of a segment that has a commit, made durable first, which does not
  list it; as a commit never changes, it can never count. Without a commit it may count yet;
- after a grace, so that who listed the directory can still read what was in it;
- claims and beats as old as that whose segment is gone, and writes that nobody goes on with.

A late worker may write such a part again after it was swept; the next sweep takes it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from fluxforge.errors import ObjectNotFoundError
from fluxforge.etl.backlog import is_plain
from fluxforge.ledger import Ledger
from fluxforge.segment import SUFFIX, SegmentName
from fluxforge.storage.base import StorageBackend

log = logging.getLogger(__name__)


@dataclass(slots=True)
class SweepReport:
    """What one sweep removed.

    Attributes:
        segments: Commits that it went by.
        parts: Parts that no commit lists.
        rejects: Lists of rejected frames that no commit names.
        claims: Claims and beats whose segment is gone.
        unfinished: Writes that never became whole.
    """

    segments: int = 0
    parts: int = 0
    rejects: int = 0
    claims: int = 0
    unfinished: int = 0


class Sweeper:
    """Sweeps one source's lake, and the claims on its segments.

    Args:
        storage: Where the segments and claims lie.
        storage_output: Where the lake lies.
        ledger: The lake's ledger.
        output_path: Key of the source's directory in the lake, as ``processed/coinbase``.
        ready_path: Key of the segments' directory, as ``raw/ready/coinbase``.
        claims_path: Key of the claims' directory, as ``raw/processing/coinbase``.
        grace_seconds: How old a thing must be, by its storage's clock.
    """

    def __init__(
        self,
        storage: StorageBackend,
        *,
        storage_output: StorageBackend,
        ledger: Ledger,
        output_path: str,
        ready_path: str,
        claims_path: str,
        grace_seconds: float,
    ) -> None:
        self._storage = storage
        self._output = storage_output
        self._ledger = ledger
        self._output_path = output_path
        self._ready_path = ready_path
        self._claims_path = claims_path
        self._grace_seconds = grace_seconds

    def sweep_if_due(self, *, every_seconds: float) -> SweepReport | None:
        """Sweep unless some worker did so lately.

        Args:
            every_seconds: How long a sweep lasts for all workers of the lake.

        Returns:
            What was removed; None where it was not due.
        """
        age = self._ledger.seconds_since_sweep()
        if age is not None and age < every_seconds:
            return None
        report = self.sweep()
        if report.segments:
            self._ledger.mark_swept()
        return report

    def sweep(self) -> SweepReport:
        """Remove what may be removed now."""
        report = SweepReport()
        self.sweep_lake(report)
        self.sweep_claims(report)
        places = {each.get_full_path(""): each for each in (self._storage, self._output)}
        for storage in places.values():  # once, where both are one place
            report.unfinished += storage.sweep_unfinished(older_than=self._grace_seconds)
        return report

    def sweep_lake(self, report: SweepReport) -> None:
        """Remove parts and rejects that the commit of their segment does not list."""
        listed: set[str] = set()
        tables: set[str] = set()
        segments: dict[str, str] = {}
        for commit in self._ledger.commits():
            segments[commit.uid] = commit.segment
            tables |= commit.balance.rows.keys() | {part.table for part in commit.parts}
            listed.update(part.key(self._output_path) for part in commit.parts)
            listed.update(f"{self._output_path}/{name}" for name in commit.rejects)
        report.segments = len(segments)
        committed = _Committed(self._ledger, segments)
        for table in sorted(tables):
            directory = f"{self._output_path}/{table}"
            for key in self._output.list_files(directory, "part_*.parquet", recursive=True):
                if key not in listed and committed.durably(self._segment_of_part(key)):
                    report.parts += self._remove(self._output, key)
        for key in self._output.list_files(f"{self._output_path}/_rejects", "*.ndjson"):
            if key not in listed and committed.durably(_segment_of_rejects(key)):
                report.rejects += self._remove(self._output, key)

    def _segment_of_part(self, key: str) -> str | None:
        """Read from a part's footer which segment it comes from; None where it does not say."""
        try:
            footer = pq.read_metadata(pa.BufferReader(self._output.read_bytes(key)))
        except ObjectNotFoundError:
            return None  # another sweep was faster
        except pa.ArrowInvalid:
            return None  # not ours, or damaged: not for a sweep to decide
        uid: bytes | None = (footer.metadata or {}).get(b"fluxforge.segment_uid")
        return None if uid is None else uid.decode()

    def sweep_claims(self, report: SweepReport) -> None:
        """Remove claims and beats whose segment is gone."""
        claims = set(self._storage.list_files(self._claims_path))
        if not claims:
            return
        ready = {_label(key) for key in self._storage.list_files(self._ready_path)}
        # A file without a header is called anything; its claim is called after its content.
        any_plain = any(SegmentName.parse(label) is None for label in ready)
        for key in sorted(claims):
            beat = f"{key.removesuffix('json')}beat"
            match key.rpartition("/")[2].rsplit(".", 3):
                case [segment, _, _, "json"] if segment not in ready:
                    if any_plain and is_plain(segment):
                        continue
                    if beat not in claims:
                        report.claims += self._remove(self._storage, key)
                    elif self._remove(self._storage, beat):  # its owner has long been silent
                        report.claims += 1 + self._remove(self._storage, key)
                case [_, _, _, "beat"] if f"{key.removesuffix('beat')}json" not in claims:
                    report.claims += self._remove(self._storage, key)

    def _remove(self, storage: StorageBackend, key: str) -> bool:
        try:
            if storage.age(key) < self._grace_seconds:
                return False
        except ObjectNotFoundError:
            return False  # another sweep was faster
        storage.delete(key)
        log.info("swept %s, which nothing refers to", storage.get_full_path(key))
        return True


class _Committed:
    """Which segments have a commit that stays, asked once for each."""

    def __init__(self, ledger: Ledger, segments: dict[str, str]) -> None:
        self._ledger = ledger
        self._segments = segments
        self._durable: set[str] = set()

    def durably(self, uid: str | None) -> bool:
        if uid is None or uid not in self._segments:
            return False
        if uid not in self._durable:
            if self._ledger.find(self._segments[uid], uid) is None:
                return False
            self._durable.add(uid)
        return True


def _label(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(SUFFIX)


def _segment_of_rejects(key: str) -> str | None:
    match key.rpartition("/")[2].rsplit(".", 3):
        case [_, uid, _, _]:
            return uid
    return None

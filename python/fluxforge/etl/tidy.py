"""What happens to raw once its commit is durable.

The order on disk: the commit is durable (its reader made sure) → the archive is durable → raw is
deleted → the claims are deleted. After a crash at any point the next run finds the segment still
in ready/, sees its commit and tidies again; every step is idempotent.

Raw is removed only if its bytes are the ones that the commit speaks of.
"""

from __future__ import annotations

import logging
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa

from fluxforge.errors import LedgerError, ObjectNotFoundError
from fluxforge.etl.digest import Digest
from fluxforge.etl.readers.zstd import decompressed
from fluxforge.ledger import Commit
from fluxforge.segment import SegmentName
from fluxforge.storage.base import StorageBackend

log = logging.getLogger(__name__)

Retention = Literal["archive", "keep", "delete"]

_CHUNK = 1 << 20


class Tidier:
    """Archives, keeps or deletes the raw segments that are committed.

    Args:
        storage: Where raw lies.
        archive_path: Key of the source's archive, as ``raw/archive/coinbase``.
        retention: What becomes of raw; damaged raw is archived in place of deleted.
    """

    def __init__(self, storage: StorageBackend, *, archive_path: str, retention: Retention) -> None:
        self._storage = storage
        self._archive_path = archive_path
        self._retention = retention

    def tidy(self, key: str, commit: Commit) -> None:
        """Deal with the raw segment at a key, given its durable commit.

        Raises:
            LedgerError: The bytes at the key are not the ones that were committed; they stay.
        """
        if self._retention == "keep":
            return
        try:
            # A damaged segment's bytes may be wanted for a better rescue than ours.
            if self._retention == "archive" or commit.raw.damaged:
                self._archive(key, commit)
            else:
                digest = Digest(self._storage.read_chunks(key, _CHUNK))
                digest.exhaust()
                _must_match(digest, commit, key)
        except ObjectNotFoundError:
            return  # another worker has seen the same commit and was faster
        self._storage.delete(key)

    def _archive(self, key: str, commit: Commit) -> None:
        with tempfile.TemporaryDirectory(prefix="fluxforge-archive-") as directory:
            compressed = Path(directory) / "segment.ndjson.zst"
            digest = Digest(self._storage.read_chunks(key, _CHUNK))
            with pa.CompressedOutputStream(str(compressed), "zstd") as sink:
                for chunk in digest:
                    sink.write(chunk)
            _must_match(digest, commit, key)
            for label in (commit.segment, f"{commit.segment}.{commit.uid}"):
                target = f"{self._archive_path}/date={_date(commit)}/{label}.ndjson.zst"
                if self._storage.create_new_file(compressed, target):
                    return
                if self._holds(target, commit):
                    self._storage.ensure_durable(target)
                    return
        raise LedgerError(
            f"{target} exists already and does not hold the segment committed as {commit.uid}. "
            f"{key} stays where it is: compare the two and move one away."
        )

    def _holds(self, archive: str, commit: Commit) -> bool:
        digest = Digest(decompressed(self._storage.read_chunks(archive, _CHUNK)))
        try:
            digest.exhaust()
        except OSError:  # pyarrow's word for what is no zstd
            return False
        return _matches(digest, commit)


def _matches(digest: Digest, commit: Commit) -> bool:
    return (digest.bytes, digest.xxh3) == (commit.raw.bytes, commit.raw.xxh3)


def _must_match(digest: Digest, commit: Commit, key: str) -> None:
    if not _matches(digest, commit):
        raise LedgerError(
            f"{key} holds {digest.bytes} bytes with hash {digest.xxh3}, but its commit speaks of "
            f"{commit.raw.bytes} bytes with hash {commit.raw.xxh3}. It was changed after it was "
            "committed and stays where it is: look into it by hand."
        )


def _date(commit: Commit) -> str:
    """The date of the segment's hour; for a foreign name, of its first frame."""
    if name := SegmentName.parse(commit.segment):
        return f"{name.hour:%Y-%m-%d}"
    firsts = [connection.first_capture_ns for connection in commit.connections]
    return f"{datetime.fromtimestamp(min(firsts, default=0) // 10**9, tz=UTC):%Y-%m-%d}"

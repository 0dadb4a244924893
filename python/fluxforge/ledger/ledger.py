"""The ledger: the commit records of one source in one output storage."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from fluxforge.errors import ObjectNotFoundError
from fluxforge.ledger.commit import Commit
from fluxforge.storage.base import StorageBackend

_LAKE = "lake.id"
_SWEPT = "lake.swept"


class Ledger:
    """Reads and creates commit records. Whatever it returns is durable.

    Args:
        storage: The output storage.
        path: Key of the directory with the records, as ``processed/coinbase/_commits``.
    """

    def __init__(self, storage: StorageBackend, *, path: str) -> None:
        self._storage = storage
        self._path = path

    def key(self, segment: str, uid: str) -> str:
        """Return the key of a segment's record."""
        return f"{self._path}/{segment}.{uid}.json"

    def find(self, segment: str, uid: str) -> Commit | None:
        """Return a segment's commit, made durable first, or None."""
        key = self.key(segment, uid)
        if not self._storage.exists(key):
            return None
        self._storage.ensure_durable(key)
        return self._read(key)

    def publish(self, commit: Commit) -> Commit:
        """Create the record; of all who try for one segment, one wins.

        Returns:
            The commit that counts: the given one, or the one that was there first.
        """
        key = self.key(commit.segment, commit.uid)
        if self._storage.create_new(commit.to_json(), key):
            return commit
        self._storage.ensure_durable(key)
        return self._read(key)

    def commits(self) -> Iterator[Commit]:
        """Yield all commits in the order of their segments' names."""
        for key in self._storage.list_files(self._path, "*.json"):
            yield self._read(key)

    def lake(self) -> str:
        """Return the lake's own identity, made on first asking; a copy of the lake keeps it."""
        key = f"{self._path}/{_LAKE}"
        try:
            self._storage.ensure_durable(key)
            return self._storage.read_bytes(key).decode()
        except ObjectNotFoundError:
            lake = secrets.token_hex(16)
        if self._storage.create_new(lake.encode(), key):
            return lake
        self._storage.ensure_durable(key)
        return self._storage.read_bytes(key).decode()

    def seconds_since_sweep(self) -> float | None:
        """Return how long ago the lake was swept, by its storage's clock; None if never."""
        try:
            return self._storage.age(f"{self._path}/{_SWEPT}")
        except ObjectNotFoundError:
            return None

    def mark_swept(self) -> None:
        """Write down that the lake has been swept now."""
        self._storage.write_bytes(b"", f"{self._path}/{_SWEPT}")

    def _read(self, key: str) -> Commit:
        return Commit.from_json(self._storage.read_bytes(key), key=key)

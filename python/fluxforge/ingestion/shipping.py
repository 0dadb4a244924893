"""Uploads sealed segments from the local spool to where the storage is not this machine's disk.

The writer always writes to local disk; with S3 as storage that is a spool. A sealed segment is
created in ready/ by ``create_new``, compared, and only then dropped from the spool. After a crash
at any point the segment is still in the spool and goes up again; what is there already with the
same bytes counts as uploaded.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from fluxforge._native import Xxh3
from fluxforge.errors import StorageError
from fluxforge.storage.base import StorageBackend

log = logging.getLogger(__name__)


class Shipper:
    """Moves sealed segments from a local directory into a storage.

    Args:
        storage: Where segments go.
        spool_ready: Local directory where the writer puts sealed segments.
        ready_path: Key of the directory where they are to lie, as ``raw/ready/coinbase``.
        interval: Seconds between two looks.
    """

    def __init__(
        self,
        storage: StorageBackend,
        *,
        spool_ready: Path,
        ready_path: str,
        interval: float = 1.0,
    ) -> None:
        self._storage = storage
        self._spool_ready = spool_ready
        self._ready_path = ready_path
        self._interval = interval
        self.shipped = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Ship until told to stop; a storage that is down is retried for ever."""
        while not stop.is_set():
            try:
                await asyncio.to_thread(self.ship_all)
            except StorageError as error:
                log.error("%s Sealed segments stay in %s.", error, self._spool_ready)  # noqa: TRY400
            try:
                await asyncio.wait_for(stop.wait(), self._interval)
            except TimeoutError:
                continue

    def ship_all(self) -> None:
        """Ship every sealed segment once.

        Raises:
            StorageError: The storage refused; what was not shipped stays in the spool.
        """
        for segment in sorted(self._spool_ready.glob("*.ndjson")):
            key = self._storage.join_path(self._ready_path, segment.name)
            created = self._storage.create_new_file(segment, key)
            if not created and _hash_file(segment) != self._hash_object(key):
                raise StorageError(
                    f"{self._storage.get_full_path(key)} exists with other bytes than "
                    f"{segment}. Two writers use one ingestion.writer_id: give each its own."
                )
            if self._storage.size(key) != segment.stat().st_size:
                raise StorageError(
                    f"{self._storage.get_full_path(key)} is not as long as {segment}: the upload "
                    "was cut. Delete the object; the segment will go up again."
                )
            segment.unlink()
            self.shipped += 1
            log.info("shipped %s", segment.name)

    def _hash_object(self, key: str) -> str:
        digest = Xxh3()
        for chunk in self._storage.read_chunks(key):
            digest.update(chunk)
        return digest.hexdigest()


def _hash_file(path: Path) -> str:
    digest = Xxh3()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()

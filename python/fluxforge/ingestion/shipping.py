"""Uploads sealed segments from the local spool to where the storage is not this machine's disk.

The writer always writes to local disk; with S3 as storage that is a spool. A sealed segment is
created in ready/ by ``create_new``, the storage is asked whether it holds the same bytes, and only
then is it dropped from the spool. After a crash at any point the segment is still in the spool and
goes up again; what is there already with the same bytes counts as uploaded.

A storage that is away costs nothing but room: segments wait, oldest first. When more wait than the
spool may hold, the writer is held, its queue fills, and the venue is held back over TCP.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fluxforge.errors import StorageAccessError, StorageError
from fluxforge.ingestion.writers import LogWriter
from fluxforge.storage.base import StorageBackend

log = logging.getLogger(__name__)

_REMIND_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ShippingStats:
    """How far the uploads are behind.

    Attributes:
        shipped: Segments uploaded by this run.
        waiting: Sealed segments in the spool.
        waiting_bytes: Their size.
        lag_seconds: How long the oldest of them has been waiting; 0 if there is none.
        holding: Whether capture waits because the spool is full.
        error: Why the last look at the spool did not empty it, if it did not.
    """

    shipped: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    lag_seconds: float = 0.0
    holding: bool = False
    error: str | None = None


class Shipper:
    """Moves a writer's sealed segments into a storage.

    Args:
        storage: Where segments go.
        writer: Who seals them into its ``ready_dir``, and is held while the spool is full.
        ready_path: Key of the directory where they are to lie, as ``raw/ready/coinbase``.
        max_bytes: What may wait in the spool before capture does, beside the open segment.
        interval: Seconds between two looks.
        now: Seconds since 1970, by the clock of the spool's file system.
    """

    def __init__(
        self,
        storage: StorageBackend,
        *,
        writer: LogWriter,
        ready_path: str,
        max_bytes: int,
        interval: float = 1.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._storage = storage
        self._writer = writer
        self._ready_path = ready_path
        self._max_bytes = max_bytes
        self._interval = interval
        self._now = now
        self._shipped = 0
        self._holding = False
        self._error: str | None = None
        self._told_at = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        """Ship until told to stop; a storage that is away is tried again for ever."""
        async with asyncio.TaskGroup() as tasks:
            # Beside the uploads: one that stalls is when the spool fills.
            tasks.create_task(self._watch_spool(stop))
            await asyncio.to_thread(self._reach)
            while not stop.is_set():
                with suppress(StorageError):  # told, and tried again
                    await asyncio.to_thread(self.ship_all)
                await _pause(stop, self._interval)

    def ship_all(self) -> None:
        """Ship every sealed segment once; one that fails does not stop the others.

        Raises:
            StorageError: The first failure; what was not shipped stays in the spool.
        """
        failures: list[StorageError] = []
        for segment, _ in self._waiting():
            try:
                self._ship(segment)
            except StorageError as error:
                if not segment.exists():
                    continue  # another writer of this spool was faster
                failures.append(error)
                if isinstance(error, StorageAccessError):
                    break  # it is the storage, not the segment
        self._tell(failures[0] if failures else None)
        if failures:
            raise failures[0]

    def stats(self) -> ShippingStats:
        """Look into the spool and return what waits there."""
        waiting = self._waiting()
        return ShippingStats(
            shipped=self._shipped,
            waiting=len(waiting),
            waiting_bytes=sum(status.st_size for _, status in waiting),
            lag_seconds=max((self._now() - status.st_mtime for _, status in waiting), default=0.0),
            holding=self._holding,
            error=self._error,
        )

    def hold_or_release(self) -> None:
        """Hold the writer while more waits than the spool may hold."""
        full = self.stats().waiting_bytes > self._max_bytes
        if full == self._holding:
            return
        self._holding = full
        self._writer.hold(held=full)
        if full:
            log.warning(
                "more sealed segments wait in %s than ingestion.spool_max_mb allows: capture waits "
                "and holds the venue back; it goes on by itself when they have been uploaded",
                self._writer.ready_dir,
            )
        else:
            log.info("there is room in the spool again; capture goes on")

    def _reach(self) -> None:
        """Ask the storage for anything: a wrong bucket is told now, not with the first segment."""
        try:
            self._storage.exists(self._storage.join_path(self._ready_path, "nothing"))
        except StorageError as error:
            self._tell(error)

    async def _watch_spool(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.hold_or_release()
            await _pause(stop, self._interval)

    def _waiting(self) -> list[tuple[Path, os.stat_result]]:
        """The segments in the spool, oldest first."""
        found = []
        for path in sorted(self._writer.ready_dir.glob("*.ndjson")):
            with suppress(FileNotFoundError):  # shipped since
                found.append((path, path.stat()))
        return found

    def _ship(self, segment: Path) -> None:
        key = self._storage.join_path(self._ready_path, segment.name)
        created = self._storage.create_new_file(segment, key)
        if not self._storage.holds_file(segment, key):
            place = self._storage.get_full_path(key)
            if created:
                self._storage.delete(key)
                raise StorageError(
                    f"{place} did not arrive as {segment} is, and was deleted; it goes up again."
                )
            raise StorageError(
                f"{place} exists with other bytes than {segment}. If two writers use one "
                "ingestion.writer_id, give each its own; if an upload was damaged, delete it."
            )
        segment.unlink(missing_ok=True)
        self._shipped += 1
        log.info("shipped %s", segment.name)

    def _tell(self, error: StorageError | None) -> None:
        before, self._error = self._error, None if error is None else str(error)
        if error is None:
            if before is not None:
                log.info("uploads go on; the spool is empty")
        elif self._error != before or self._now() - self._told_at > _REMIND_SECONDS:
            self._told_at = self._now()
            stats = self.stats()
            log.error(
                "%s. Capture goes on: %d sealed segments (%d MiB) wait in %s",
                str(error).removesuffix("."),
                stats.waiting,
                stats.waiting_bytes >> 20,
                self._writer.ready_dir,
            )


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)

"""Uploads what a writer makes durable, where the storage is not this machine's disk.

The writer always writes to local disk; with S3 as storage that is a spool. With ``ship_interval``
the durable bytes of the open segment follow within that time, as pieces; without it a segment goes
up once it is sealed. What happens to each segment in which order is ``carrier``'s.

A storage that is away costs nothing but room: segments wait, oldest first. When more waits than the
spool may hold, the writer is held, its queue fills, and the venue is held back over TCP.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from fluxforge.errors import StorageAccessError, StorageError
from fluxforge.ingestion.shipping.adoption import Adopter
from fluxforge.ingestion.shipping.carrier import Carrier
from fluxforge.ingestion.shipping.pieces import PieceStore
from fluxforge.ingestion.shipping.publishing import Publisher
from fluxforge.ingestion.shipping.spool import Spool
from fluxforge.ingestion.shipping.stats import ShippingStats
from fluxforge.ingestion.writers import LogWriter
from fluxforge.storage.base import StorageBackend

log = logging.getLogger(__name__)

_REMIND_SECONDS = 60.0
_LOOKS_PER_LEASE = 2


class Shipper:
    """Moves a writer's segments into a storage.

    Args:
        storage: Where segments go.
        writer: Who seals them into its ``ready_dir``, and is held while the spool is full.
        active_path: Key of the directory where pieces are to lie, as ``raw/active/coinbase``.
        ready_path: Key of the directory where segments are to lie, as ``raw/ready/coinbase``.
        max_bytes: What may wait in the spool before capture does.
        interval: Seconds between two looks.
        ship_interval: Seconds after which durable bytes of the open segment are sent; 0: segments
            go up when they are sealed, and the open one does not count.
        ship_bytes: They are sent before, once they are so many; the most that one piece holds.
        adopt_after: Seconds without a change after which another writer's segment is finished for
            it; 0: never.
        now: Seconds since 1970, by the clock of the spool's file system.
        monotonic: Clock in seconds.
    """

    def __init__(
        self,
        storage: StorageBackend,
        *,
        writer: LogWriter,
        active_path: str,
        ready_path: str,
        max_bytes: int,
        interval: float = 1.0,
        ship_interval: float = 0,
        ship_bytes: int = 8 << 20,
        adopt_after: float = 0,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = storage
        self._writer = writer
        self._ready_path = ready_path
        self._max_bytes = max_bytes
        self._interval = min(interval, ship_interval or interval)
        self._ship_interval = ship_interval
        self._ship_bytes = ship_bytes
        self._now = now
        self._monotonic = monotonic
        self._spool = Spool(
            active=writer.active_dir, ready=writer.ready_dir, writer_id=writer.writer_id
        )
        self._store = PieceStore(storage, path=active_path)
        publisher = Publisher(storage, path=ready_path)
        self._carrier = Carrier(
            self._spool,
            writer=writer,
            store=self._store,
            publisher=publisher,
            piece_bytes=ship_bytes,
            in_pieces=ship_interval > 0,
        )
        self._adopt_after = adopt_after
        self._adopter = Adopter(
            self._store,
            publisher,
            lease_seconds=adopt_after,
            is_own=self._spool.is_marked,
            monotonic=monotonic,
        )
        self._adopted = 0
        self._holding = False
        self._error: str | None = None
        self._told_at = float("-inf")
        # Everything that was durable then is in the storage.
        self._complete_at = monotonic()
        self._sent_at = float("-inf")

    # -- running ------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Ship until told to stop; a storage that is away is tried again for ever."""
        async with asyncio.TaskGroup() as tasks:
            # Beside the uploads: one that stalls is when the spool fills.
            tasks.create_task(self._watch_spool(stop))
            if self._adopt_after:
                tasks.create_task(self._watch_others(stop))
            await asyncio.to_thread(self._reach)
            while not stop.is_set():
                try:
                    await asyncio.to_thread(self.ship_due)
                except StorageError:
                    pass  # told, and tried again
                except Exception:
                    # An uploader that ends in silence would be found out with the machine.
                    log.exception("uploading from %s failed; it is tried again", self._spool.ready)
                await _pause(stop, self._interval)

    async def _watch_spool(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.hold_or_release()
            await _pause(stop, self._interval)

    async def _watch_others(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                self._adopted += len(await asyncio.to_thread(self._adopter.look))
            except StorageError as error:
                log.debug("could not look after other writers: %s", error)  # uploads tell the rest
            await _pause(stop, self._adopt_after / _LOOKS_PER_LEASE)

    def _reach(self) -> None:
        """Ask the storage for anything: a wrong bucket is told now, not with the first segment."""
        try:
            self._storage.exists(self._storage.join_path(self._ready_path, "nothing"))
        except StorageError as error:
            self._tell(error)

    # -- shipping -----------------------------------------------------------------------------

    def ship_due(self) -> None:
        """Ship every sealed segment, and what grows if its time has come.

        Raises:
            StorageError: The first failure; what was not shipped stays in the spool.
        """
        started = self._monotonic()
        is_due = started - self._sent_at >= self._ship_interval
        self._ship(growing=is_due or self._growing_bytes() >= self._ship_bytes)

    def ship_all(self) -> None:
        """Ship everything that is durable now; one failure does not stop the other segments.

        Raises:
            StorageError: The first failure; what was not shipped stays in the spool.
        """
        self._ship(growing=True)

    def _ship(self, *, growing: bool) -> None:  # noqa: C901  # one pass, read from top to bottom
        started, mark = self._monotonic(), self._writer.durable_mark()
        if not self.stats().waiting_bytes:
            self._complete_at = started
        failures: list[StorageError] = []
        is_complete = True
        for segment in self._spool.sealed():
            try:
                is_complete &= self._carrier.carry_sealed(segment.path)
            except StorageError as error:
                if not segment.path.exists():
                    continue  # another writer of this spool was faster
                failures.append(error)
                if isinstance(error, StorageAccessError):
                    break  # it is the storage, not the segment
        if self._ship_interval and mark.segment and growing and not _is_away(failures):
            try:
                is_complete &= self._carrier.carry_growing(mark.segment, mark.bytes)
                self._sent_at = started
            except StorageError as error:
                failures.append(error)
        self._tell(failures[0] if failures else None)
        if failures:
            raise failures[0]
        if is_complete and growing and not self._is_left_before(mark.segment):
            self._complete_at = started
            if self._ship_interval:
                self._writer.confirm(mark.position)

    def _is_left_before(self, name: str) -> bool:
        """Whether anything in the spool is older than a segment."""
        names = [*self._spool.growing(), *(segment.path.name for segment in self._spool.sealed())]
        return any(other < name for other in names)

    # -- looking ------------------------------------------------------------------------------

    def stats(self) -> ShippingStats:
        """Look into the spool and return what waits there."""
        waiting = self._spool.sealed()
        waiting_bytes = self._growing_bytes() if self._ship_interval else 0
        for segment in waiting:
            waiting_bytes += max(segment.bytes - self._carrier.arrived(segment.path.name), 0)
        if self._ship_interval:
            lag = self._monotonic() - self._complete_at if waiting_bytes else 0.0
        else:
            lag = max((self._now() - segment.modified for segment in waiting), default=0.0)
        return ShippingStats(
            shipped=self._carrier.shipped,
            waiting=len(waiting),
            waiting_bytes=waiting_bytes,
            lag_seconds=lag,
            holding=self._holding,
            error=self._error,
            pieces=self._store.created,
            taken_over=self._carrier.taken_over,
            adopted=self._adopted,
        )

    def _growing_bytes(self) -> int:
        """Durable bytes of the open segment that have not arrived."""
        mark = self._writer.durable_mark()
        if mark.segment not in self._spool.growing():
            return 0  # sealed: counted there
        return max(mark.bytes - self._carrier.arrived(mark.segment), 0)

    def hold_or_release(self) -> None:
        """Hold the writer while more waits than the spool may hold."""
        # One that is to be sealed because another machine closed it must not wait for its own end.
        full = self.stats().waiting_bytes > self._max_bytes and not self._carrier.is_rotating
        if full == self._holding:
            return
        self._holding = full
        self._writer.hold(held=full)
        if full:
            log.warning(
                "more waits for upload in %s than ingestion.spool_max_mb allows: capture waits "
                "and holds the venue back; it goes on by itself when that has been uploaded",
                self._spool.ready,
            )
        else:
            log.info("there is room in the spool again; capture goes on")

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
                self._spool.ready,
            )


def _is_away(failures: list[StorageError]) -> bool:
    return any(isinstance(failure, StorageAccessError) for failure in failures)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)

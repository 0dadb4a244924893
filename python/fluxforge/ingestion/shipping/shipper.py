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
from fluxforge.ingestion.shipping.alarm import Alarm
from fluxforge.ingestion.shipping.backlog import Backlog, Waiting
from fluxforge.ingestion.shipping.carrier import Carrier
from fluxforge.ingestion.shipping.pieces import PieceStore
from fluxforge.ingestion.shipping.publishing import Publisher
from fluxforge.ingestion.shipping.spool import Spool
from fluxforge.ingestion.shipping.stats import ShippingStats
from fluxforge.ingestion.writers import LogWriter
from fluxforge.storage.base import StorageBackend

log = logging.getLogger(__name__)

_LOOKS_PER_LEASE = 2
_INTERVALS_OF_PATIENCE = 3


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
        self._backlog = Backlog(
            self._spool,
            writer=writer,
            carrier=self._carrier,
            in_pieces=ship_interval > 0,
            now=now,
            monotonic=monotonic,
        )
        self._alarm = Alarm(
            self._spool.ready,
            patience=_INTERVALS_OF_PATIENCE * ship_interval,
            monotonic=monotonic,
        )
        self._adopt_after = adopt_after
        self._adopter = Adopter(
            self._store,
            publisher,
            lease_seconds=adopt_after,
            is_own=self._spool.holds,
            monotonic=monotonic,
        )
        self._adopted = 0
        self._holding = False
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
            self._alarm.look(self.hold_or_release())
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
            self._alarm.passed(error, self._backlog.look())

    # -- shipping -----------------------------------------------------------------------------

    def ship_due(self) -> None:
        """Ship every sealed segment, and what grows if its time has come.

        Raises:
            StorageError: The first failure; what was not shipped stays in the spool.
        """
        is_due = self._monotonic() - self._sent_at >= self._ship_interval
        self._ship(growing=is_due or self._backlog.growing_bytes() >= self._ship_bytes)

    def ship_all(self) -> None:
        """Ship everything that is durable now; one failure does not stop the other segments.

        Raises:
            StorageError: The first failure; what was not shipped stays in the spool.
        """
        taken_over = -1
        while taken_over < self._carrier.taken_over:
            # What follows where another machine closed a segment is one more.
            taken_over = self._carrier.taken_over
            self._ship(growing=True)

    def _ship(self, *, growing: bool) -> None:
        started, mark = self._monotonic(), self._writer.durable_mark()
        if not self._backlog.look().bytes:
            self._backlog.was_complete(started)
        failures = self._ship_sealed()
        is_there = False
        if self._ship_interval and mark.segment and growing and not _is_away(failures):
            try:
                is_there = self._carrier.carry_growing(mark.segment, mark.bytes)
                self._sent_at = started
            except StorageError as error:
                failures.append(error)
        self._alarm.passed(failures[0] if failures else None, self._backlog.look())
        if failures:
            raise failures[0]
        if is_there and not self._spool.holds_older(mark.segment):
            self._backlog.was_complete(started)
            self._writer.confirm(mark.position)

    def _ship_sealed(self) -> list[StorageError]:
        failures: list[StorageError] = []
        for segment in self._spool.sealed():
            try:
                self._carrier.carry_sealed(segment.path)
            except StorageError as error:
                if not segment.path.exists():
                    continue  # another writer of this spool was faster
                failures.append(error)
                if isinstance(error, StorageAccessError):
                    break  # it is the storage, not the segment
        return failures

    # -- looking ------------------------------------------------------------------------------

    def stats(self) -> ShippingStats:
        """Look into the spool and return what waits there."""
        waiting = self._backlog.look()
        return ShippingStats(
            shipped=self._carrier.shipped,
            waiting=waiting.segments,
            waiting_bytes=waiting.bytes,
            lag_seconds=waiting.seconds,
            holding=self._holding,
            error=self._alarm.error,
            pieces=self._store.created,
            taken_over=self._carrier.taken_over,
            adopted=self._adopted,
        )

    def hold_or_release(self) -> Waiting:
        """Hold the writer while more waits than the spool may hold; return what waits."""
        waiting = self._backlog.look()
        # One that is to be sealed because another machine closed it must not wait for its own end.
        full = waiting.bytes > self._max_bytes and not self._carrier.is_rotating
        if full != self._holding:
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
        return waiting


def _is_away(failures: list[StorageError]) -> bool:
    return any(isinstance(failure, StorageAccessError) for failure in failures)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)

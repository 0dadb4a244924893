"""What is not in the storage yet, and for how long: what a lost machine would take with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from fluxforge.ingestion.shipping.carrier import Carrier
from fluxforge.ingestion.shipping.spool import Spool
from fluxforge.ingestion.writers import LogWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits in a spool.

    Attributes:
        segments: Sealed segments.
        bytes: Of sealed segments, and of the open one if it travels in pieces.
        seconds: How long the oldest of these bytes have waited; 0 if there are none.
    """

    segments: int
    bytes: int
    seconds: float


class Backlog:
    """Knows how far one writer's uploads are behind.

    Args:
        spool: Where segments wait.
        writer: Who writes them.
        carrier: Who knows how much of each has arrived.
        in_pieces: Whether the open segment counts.
        now: Seconds since 1970, by the clock of the spool's file system.
        monotonic: Clock in seconds.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        writer: LogWriter,
        carrier: Carrier,
        in_pieces: bool,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._writer = writer
        self._carrier = carrier
        self._in_pieces = in_pieces
        self._now = now
        self._monotonic = monotonic
        # Everything that was durable then is in the storage.
        self._complete_at = monotonic()

    def look(self) -> Waiting:
        """Look into the spool."""
        sealed = self._spool.sealed()
        waiting = self.growing_bytes() if self._in_pieces else 0
        for segment in sealed:
            waiting += max(segment.bytes - self._carrier.arrived(segment.path.name), 0)
        if self._in_pieces:
            seconds = self._monotonic() - self._complete_at if waiting else 0.0
        else:
            seconds = max((self._now() - segment.modified for segment in sealed), default=0.0)
        return Waiting(segments=len(sealed), bytes=waiting, seconds=seconds)

    def growing_bytes(self) -> int:
        """Durable bytes of the open segment that have not arrived."""
        mark = self._writer.durable_mark()
        if mark.segment not in self._spool.growing():
            return 0  # sealed: counted there
        return max(mark.bytes - self._carrier.arrived(mark.segment), 0)

    def was_complete(self, at: float) -> None:
        """Say that everything that was durable at a moment has arrived."""
        self._complete_at = max(self._complete_at, at)

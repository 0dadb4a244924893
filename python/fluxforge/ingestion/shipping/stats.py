"""How far the storage is behind the disk, as numbers and as log lines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShippingStats:
    """How far the uploads are behind.

    Attributes:
        shipped: Segments that arrived whole, in this run.
        waiting: Sealed segments in the spool.
        waiting_bytes: Durable bytes that would be lost with this machine, as far as they are to
            travel: of sealed segments, and with ``ship_interval`` of the open one.
        lag_seconds: How long the oldest of these bytes have been waiting; 0 if there are none.
        holding: Whether capture waits because the spool is full.
        error: Why the last look at the spool did not empty it, if it did not.
        pieces: Pieces created by this run.
        taken_over: Segments of this writer that another machine had closed, by this run.
        adopted: Segments of dead writers that this run finished.
    """

    shipped: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    lag_seconds: float = 0.0
    holding: bool = False
    error: str | None = None
    pieces: int = 0
    taken_over: int = 0
    adopted: int = 0

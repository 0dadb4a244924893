"""What a planned socket will probably carry. An estimate: it names what it rests on.

The sizes are those of the simulated market (seed 7, 20 products, 25 s, measured 2026-11-23), whose
messages are made after Coinbase's. How busy a market is no plan can know, so that is a parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fluxforge.ingestion.collectors.connection_plan import ConnectionPlan

DAY_SECONDS = 86_400
ENVELOPE_BYTES = 78
"""What a segment's line adds to a frame: capture time, connection, braces."""


@dataclass(frozen=True, slots=True)
class _Pulse:
    """What a channel sends.

    Attributes:
        frame_bytes: A frame's mean size; of a timed frame: what each product adds to it.
        per_event: Frames for each change of a product's market.
        every_seconds: Time between its frames where it sends by the clock, all products in one.
    """

    frame_bytes: float
    per_event: float = 0.0
    every_seconds: float | None = None


_PULSES: Mapping[str, _Pulse] = MappingProxyType(
    {
        "heartbeats": _Pulse(197, every_seconds=1),
        "level2": _Pulse(496, per_event=1),
        "market_trades": _Pulse(320, per_event=0.25),
        "ticker": _Pulse(447, per_event=0.25),
        "ticker_batch": _Pulse(220, every_seconds=5),
        "candles": _Pulse(139, every_seconds=1),
        "status": _Pulse(231, every_seconds=5),
    }
)


@dataclass(frozen=True, slots=True)
class ExpectedLoad:
    """What is expected to come.

    Attributes:
        frames: Frames a second.
        bytes: Their bytes a second, before any compression on the wire.
    """

    frames: float
    bytes: float

    @property
    def raw_bytes_per_day(self) -> float:
        """Return what a day of it takes on disk as raw segments."""
        return (self.bytes + self.frames * ENVELOPE_BYTES) * DAY_SECONDS


def expect(plans: Iterable[ConnectionPlan], *, events_per_second: float) -> ExpectedLoad:
    """Estimate what sockets carry, snapshots aside.

    Args:
        plans: The sockets.
        events_per_second: Changes a second of each product's market.
    """
    frames = size = 0.0
    for subscription in (each for plan in plans for each in plan.subscriptions):
        pulse = _PULSES.get(subscription.channel)
        if pulse is None:
            continue
        if pulse.every_seconds is not None:
            rate = 1 / pulse.every_seconds
            frames += rate
            size += rate * pulse.frame_bytes * max(len(subscription.product_ids), 1)
        else:
            rate = events_per_second * pulse.per_event * len(subscription.product_ids)
            frames += rate
            size += rate * pulse.frame_bytes
    return ExpectedLoad(frames, size)

"""How fast the market moves just now, and how much of it goes into one frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fluxforge.sim.conduct import Misconduct
from fluxforge.sim.faults.pace import Burst, SharedFrames
from fluxforge.sim.market import Market, Move
from fluxforge.sim.pacing import Pacer


class Tempo:
    """Lets the market's events happen when they are due.

    Args:
        market: The market.
        rate: Events per second, while no fault wants another rate.
        misconduct: What the venue does that it should not.
        clock: Wall clock in nanoseconds.
    """

    def __init__(
        self, market: Market, *, rate: float, misconduct: Misconduct, clock: Callable[[], int]
    ) -> None:
        self._market = market
        self._usual = self._pacer = Pacer(rate)
        self._misconduct = misconduct
        self._clock = clock
        self._burst: Burst | None = None

    def due(self, now: float) -> Iterator[list[Move]]:
        """Let happen what is due; yield what shares a frame.

        Args:
            now: Seconds of a monotonic clock.
        """
        burst = self._misconduct.holding(Burst)
        if burst is not self._burst:
            self._burst = burst
            self._pacer = self._usual if burst is None else Pacer(burst.rate)
        shared = self._misconduct.holding(SharedFrames)
        yield from self._together(self._pacer.due(now), 1 if shared is None else shared.products)

    def delay(self, now: float) -> float:
        """Return how many seconds to sleep until an event is due."""
        return self._pacer.delay(now)

    def _together(self, events: int, products: int) -> Iterator[list[Move]]:
        """Gather moves of different products, so many at the most; one event is never split."""
        together: list[Move] = []
        for _ in range(events):
            moves = self._market.step(self._clock())
            moved = {move.market for move in together}
            if together and (
                len(together) + len(moves) > products or any(m.market in moved for m in moves)
            ):
                yield together
                together = []
            together += moves
        if together:
            yield together

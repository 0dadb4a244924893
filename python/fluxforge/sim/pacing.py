"""How fast the market moves, and how fast clients may come and ask."""

from __future__ import annotations

import math
from collections import deque

LARGEST_BURST = 256
LONGEST_ARREARS = 0.25  # seconds


class Pacer:
    """Turns a rate into counts of events: exact on average, without a burst after a pause.

    Args:
        rate: Events per second. 0 or infinity: as many as anyone can take.
    """

    def __init__(self, rate: float) -> None:
        if rate < 0 or math.isnan(rate):
            raise ValueError(f"the rate must be 0 (no limit) or positive, not {rate}")
        self._rate = math.inf if rate == 0 else rate
        self._next: float | None = None

    def due(self, now: float) -> int:
        """Return how many events to do at this time, in seconds of a monotonic clock."""
        if self._rate == math.inf:
            return LARGEST_BURST
        if self._next is None or now - self._next > LONGEST_ARREARS:
            # What could not be done in time is given up: catching up would be a burst that the
            # rate does not promise.
            self._next = now
        if now < self._next:
            return 0
        count = min(LARGEST_BURST, int((now - self._next) * self._rate) + 1)
        self._next += count / self._rate
        return count

    def delay(self, now: float) -> float:
        """Return how many seconds to sleep until an event is due."""
        if self._rate == math.inf or self._next is None:
            return 0.0
        return max(0.0, self._next - now)


class RateLimit:
    """Allows so many in any one second.

    Args:
        per_second: How many; None allows all.
    """

    def __init__(self, per_second: int | None) -> None:
        self._times: deque[float] | None = None if per_second is None else deque(maxlen=per_second)

    def allows(self, now: float) -> bool:
        """Say whether one more is allowed at this time, in seconds of a monotonic clock."""
        times = self._times
        if times is None:
            return True
        if len(times) == times.maxlen and now - times[0] < 1:
            return False
        times.append(now)
        return True

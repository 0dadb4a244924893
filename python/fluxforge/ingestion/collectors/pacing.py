"""When to try again, and how often to speak."""

from __future__ import annotations

import asyncio
import random


class Backoff:
    """Capped exponential delays with full jitter; starts over after health.

    Args:
        first: Upper bound of the first delay, seconds.
        cap: Upper bound of every delay, seconds.
        rng: Source of the jitter.
    """

    def __init__(
        self, *, first: float = 1.0, cap: float = 60.0, rng: random.Random | None = None
    ) -> None:
        self._first = first
        self._cap = cap
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._failures = 0

    def reset(self) -> None:
        """Forget past failures: the connection was healthy."""
        self._failures = 0

    def next_delay(self) -> float:
        """Return the delay before the next attempt, in seconds."""
        # The exponent is capped too: a feed that is down for a week must not overflow a float.
        bound = min(self._cap, self._first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return self._rng.uniform(bound / 2, bound)


class Pace:
    """Lets callers through one at a time, at least an interval apart.

    Args:
        interval: Seconds between two callers.
        jitter: Up to this share of the interval is added each time, so that machines which were
            started together do not speak together.
        rng: Source of the jitter.
    """

    def __init__(
        self, interval: float, *, jitter: float = 0.0, rng: random.Random | None = None
    ) -> None:
        self._interval = interval
        self._jitter = jitter
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._lock = asyncio.Lock()
        self._next = 0.0

    async def wait(self) -> None:
        """Wait for one's turn; the first caller passes at once."""
        loop = asyncio.get_running_loop()
        async with self._lock:
            await asyncio.sleep(max(0.0, self._next - loop.time()))
            self._next = loop.time() + self._interval * (1 + self._rng.uniform(0, self._jitter))

"""What happens at regular intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class Timetable:
    """Calls each function once per interval, for the first time one interval after the first run.

    Args:
        intervals: Functions and their intervals in seconds.
    """

    def __init__(self, intervals: Mapping[Callable[[], None], float]) -> None:
        if any(interval <= 0 for interval in intervals.values()):
            raise ValueError("an interval must be positive")
        self._intervals = dict(intervals)
        self._due: dict[Callable[[], None], float] = {}

    def run(self, now: float) -> None:
        """Call what is due at this time, in seconds of a monotonic clock."""
        for call, interval in self._intervals.items():
            due = self._due.setdefault(call, now + interval)
            if now >= due:
                call()
                # Keep the beat; but do not make up for beats missed in a long pause.
                self._due[call] = due + interval if now < due + interval else now + interval

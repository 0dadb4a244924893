"""One side of an order book, in integer ticks and units."""

from __future__ import annotations

from bisect import bisect_left, insort


class BookSide:
    """Price levels of one side, best last.

    A bid's key is its price in ticks, an offer's key is the negative of it. Greater is then
    better on both sides, changes cluster at the end of the sorted list, where inserting is cheap,
    and a book is uncrossed exactly while ``bids.best + offers.best < 0``.
    """

    __slots__ = ("keys", "levels")

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.levels: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def best(self) -> int:
        """The key of the best level. The market keeps a few levels on each side at all times."""
        return self.keys[-1]

    def put(self, key: int, units: int) -> None:
        """Set a level to an absolute quantity; 0 removes it, and may name a level not there."""
        if units:
            if key not in self.levels:
                insort(self.keys, key)
            self.levels[key] = units
        elif self.levels.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]

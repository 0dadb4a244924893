"""Size and hash of a stream while it goes by, to hold it against what a commit says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fluxforge._native import Xxh3


class Digest:
    """Passes pieces through and remembers their size and hash.

    Attributes:
        bytes: How many went by.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._xxh3 = Xxh3()
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._xxh3.update(piece)
            self.bytes += len(piece)
            yield piece

    @property
    def xxh3(self) -> str:
        """XXH3-64 of what went by, 16 hex digits."""
        return self._xxh3.hexdigest()

    def exhaust(self) -> tuple[int, str]:
        """Let the rest go by; return size and hash."""
        for _ in self:
            pass
        return self.bytes, self.xxh3

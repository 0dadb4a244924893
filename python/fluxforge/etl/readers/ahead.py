"""Reading ahead: where several threads parse, none of them waits for the next bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

PIECE = 16 << 20
"""Bytes of a piece that several threads share: enough for each of them, few in memory."""


def read_ahead(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join pieces to about ``PIECE`` bytes each, one ahead of whoever takes them."""
    source = iter(pieces)

    def joined() -> bytes:
        first = next(source, b"")
        parts, size = [first], len(first)
        while size < PIECE and (part := next(source, b"")):
            parts.append(part)
            size += len(part)
        return first if len(parts) == 1 else b"".join(parts)

    with ThreadPoolExecutor(1, "read") as pool:
        coming = pool.submit(joined)
        while piece := coming.result():
            coming = pool.submit(joined)
            yield piece

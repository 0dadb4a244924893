"""Archived segments: pieces of Zstandard to pieces of NDJSON."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

_PIECE = 1 << 20


def decompressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress a stream of one or more Zstandard frames, piece by piece."""
    import pyarrow as pa  # noqa: PLC0415 - only archives need it

    with pa.CompressedInputStream(pa.PythonFile(_Pieces(pieces), mode="r"), "zstd") as stream:
        while piece := stream.read(_PIECE):
            yield piece


class _Pieces(io.RawIOBase):
    """An iterator of bytes as the file that pyarrow wants."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        target = memoryview(buffer)
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

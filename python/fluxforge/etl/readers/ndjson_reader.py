"""Segments from any storage, streamed: never on a temporary file, never whole in memory."""

from __future__ import annotations

from fluxforge._native import ParsedSegment
from fluxforge.errors import ObjectNotFoundError, SegmentNotFoundError
from fluxforge.etl.readers.parse import Numbers, parse_pieces
from fluxforge.etl.readers.zstd import decompressed
from fluxforge.storage.base import StorageBackend


class NDJSONReader:
    """Parses segments that lie in a storage.

    Args:
        storage: Where the segments lie.
        feed: The feed whose frames they hold.
        numbers: ``float64`` or ``decimal``, as for ``parse_segment``.
        threads: As for ``parse_segment``.
    """

    def __init__(
        self,
        storage: StorageBackend,
        feed: str = "coinbase",
        *,
        numbers: Numbers = "float64",
        threads: int = 1,
    ) -> None:
        self._storage = storage
        self._feed = feed
        self._numbers: Numbers = numbers
        self._threads = threads

    def read(self, path: str) -> ParsedSegment:
        """Parse the segment at a key; one that ends in ``.zst`` is decompressed on the way.

        Raises:
            SegmentNotFoundError: Nothing lies at the key.
            SegmentFormatError: A newer FluxForge wrote the segment.
            FeedError: There is no such feed.
        """
        pieces = self._storage.read_chunks(path)
        if path.endswith(".zst"):
            pieces = decompressed(pieces)
        where = self._storage.get_full_path(path)
        try:
            return parse_pieces(
                pieces,
                feed=self._feed,
                numbers=self._numbers,
                threads=self._threads,
                what=where,
            )
        except ObjectNotFoundError as error:
            raise SegmentNotFoundError(f"reading {where}: no segment lies there") from error

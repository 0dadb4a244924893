"""Segments from any storage, streamed: never on a temporary file, never whole in memory."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fluxforge._native import ParsedSegment, Partition, SegmentParser
from fluxforge.errors import ObjectNotFoundError, SegmentFormatError, SegmentNotFoundError
from fluxforge.etl.readers.ahead import PIECE, read_ahead
from fluxforge.etl.readers.parse import Numbers
from fluxforge.etl.readers.zstd import decompressed
from fluxforge.feeds import load_feed
from fluxforge.storage.base import StorageBackend


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a segment has given so far and keeps no longer.

    Attributes:
        partitions: Rows of one table, product and date each.
        rejects: Lists of rejects, each as lines.
    """

    partitions: list[Partition]
    rejects: list[bytes]


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
        parser = self._parser()
        with self._explained(path):
            for piece in self._pieces(path):
                parser.push(piece)
            return parser.finish()

    def stream(self, path: str, *, stretch: int) -> Generator[Stretch, None, ParsedSegment]:
        """Parse the segment at a key in bounded memory, stretch by stretch.

        Args:
            path: As for ``read``.
            stretch: Raw bytes after which the rows so far are given out. Where exactly, at the
                end of a line or group, depends on the segment alone. Rejects are given out
                whenever they take a quarter of that.

        Yields:
            What is ready to be written.

        Returns:
            What ``read`` returns, but with the last stretch's partitions only and tables without
            rows; of the rejects only the last, as lines. The balance counts all.

        Raises:
            SegmentNotFoundError: As ``read``, and so the others.
        """
        parser = self._parser(stretch)
        with self._explained(path):
            for piece in self._pieces(path):
                parser.push(piece)
                ready = Stretch(parser.take(), parser.take_rejects())
                if ready.partitions or ready.rejects:
                    yield ready
            return parser.finish()

    def _parser(self, stretch: int | None = None) -> SegmentParser:
        feed = load_feed(self._feed).spec
        return SegmentParser(feed, numbers=self._numbers, threads=self._threads, stretch=stretch)

    def _pieces(self, path: str) -> Iterator[bytes]:
        if self._threads == 1:
            return self._plain(self._storage.read_chunks(path), path)
        return read_ahead(self._plain(self._storage.read_chunks(path, PIECE), path))

    def _plain(self, pieces: Iterator[bytes], path: str) -> Iterator[bytes]:
        return decompressed(pieces) if path.endswith(".zst") else pieces

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        where = self._storage.get_full_path(path)
        try:
            yield
        except ObjectNotFoundError as error:
            raise SegmentNotFoundError(f"reading {where}: no segment lies there") from error
        except SegmentFormatError as error:
            raise SegmentFormatError(f"reading {where}: {error}") from None

"""``parse_segment``: one segment, from a file or from memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from fluxforge._native import ParsedSegment, SegmentParser
from fluxforge.errors import SegmentFormatError, SegmentNotFoundError
from fluxforge.etl.readers.ahead import PIECE, read_ahead
from fluxforge.etl.readers.zstd import ZSTD_MAGIC, decompressed
from fluxforge.feeds import load_feed

Numbers = Literal["float64", "decimal"]

_PIECE = 1 << 20


def parse_segment(
    source: str | os.PathLike[str] | bytes,
    *,
    feed: str = "coinbase",
    numbers: Numbers = "float64",
    threads: int = 1,
) -> ParsedSegment:
    """Parse one segment into Arrow tables.

    Args:
        source: A path, or the segment's bytes. Zstandard, as in the archive, is recognised by the
            path's ``.zst`` or the bytes' own first four.
        feed: The feed whose frames the segment holds.
        numbers: Store decimals as float64, correctly rounded and those of more than 15 significant
            digits counted, or as decimal128(38, 18), exactly or rejected.
        threads: How many threads parse, at least 1; with more than one, another reads ahead. The
            result is the same for any number, bit by bit.

    Returns:
        Tables and partitions that any Arrow library reads (``pa.table(parsed.tables["level2"])``),
        rejects, the balance, and what the segment says of itself.

    Raises:
        SegmentNotFoundError: There is no file at the path.
        SegmentFormatError: A newer FluxForge wrote the segment.
        FeedError: There is no such feed.
    """
    if isinstance(source, bytes):
        pieces: Iterable[bytes] = [source]
        if source.startswith(ZSTD_MAGIC):
            pieces = decompressed(pieces)
        return parse_pieces(pieces, feed=feed, numbers=numbers, threads=threads, what="<bytes>")
    path = Path(source)
    pieces = _file_pieces(path, _PIECE if threads == 1 else PIECE)
    if path.suffix == ".zst":
        pieces = decompressed(pieces)
    return parse_pieces(pieces, feed=feed, numbers=numbers, threads=threads, what=str(path))


def parse_pieces(
    pieces: Iterable[bytes], *, feed: str, numbers: Numbers, threads: int, what: str
) -> ParsedSegment:
    """Parse a segment that comes in pieces of any size; ``what`` names it in errors."""
    parser = SegmentParser(load_feed(feed).spec, numbers=numbers, threads=threads)
    if threads > 1:
        pieces = read_ahead(pieces)
    try:
        for piece in pieces:
            parser.push(piece)
        return parser.finish()
    except SegmentFormatError as error:
        raise SegmentFormatError(f"reading {what}: {error}") from None


def _file_pieces(path: Path, size: int) -> Iterator[bytes]:
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise SegmentNotFoundError(
            error.errno, "no segment there: check the path", str(path)
        ) from None
    with file:
        while piece := file.read(size):
            yield piece

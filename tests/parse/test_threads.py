"""Several threads parse what one parses, from files and from any storage."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from corpus import lines

from fluxforge.etl.readers import NDJSONReader, parse_segment
from fluxforge.etl.readers.ahead import PIECE, read_ahead
from fluxforge.storage import LocalStorage
from parsed_bytes import fingerprint


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six megabytes without a header, which threads share at any line, some of them bad."""
    path = tmp_path_factory.mktemp("plain") / "plain.ndjson"
    text = bytearray(b"".join(islice(lines(products=50, seed=3), 7_000)))
    for at in range(50_000, len(text), 400_003):
        text[at] = 0
    path.write_bytes(text)
    return path


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_a_segment_without_a_header_gives_the_same_by_threads(plain: Path, threads: int) -> None:
    one = parse_segment(plain)
    assert one.balance.rejected > 10
    assert fingerprint(parse_segment(plain, threads=threads)) == fingerprint(one)


def test_stretches_are_the_same_by_threads(plain: Path) -> None:
    storage = LocalStorage(plain.parent)

    def stretches(threads: int) -> tuple[list[tuple[str, str | None, int]], bytes]:
        reader = NDJSONReader(storage, threads=threads)
        stream = reader.stream(plain.name, stretch=1_000_000)
        parts, rejects = [], b""
        while True:
            try:
                ready = next(stream)
            except StopIteration as end:
                return parts, rejects + end.value.rejects_ndjson()
            parts += [(part.table, part.product_id, len(part)) for part in ready.partitions]
            rejects += b"".join(ready.rejects)

    parts, rejects = stretches(1)
    assert len(parts) > 100
    assert rejects.count(b"\n") > 10
    assert stretches(3) == (parts, rejects)


def test_pieces_are_joined_in_order_and_an_error_comes_at_its_place() -> None:
    def pieces() -> Iterator[bytes]:
        for number in range(40):
            yield bytes([number]) * (1 << 20)
        raise OSError("the cable")

    taken: list[bytes] = []
    with pytest.raises(OSError, match="the cable"):
        taken.extend(read_ahead(pieces()))
    assert b"".join(taken) == b"".join(bytes([n]) * (1 << 20) for n in range(32))
    assert {len(piece) for piece in taken} == {PIECE}
    assert list(read_ahead([])) == []

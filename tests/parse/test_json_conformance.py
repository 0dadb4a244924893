"""JSON documents of every kind, where a venue could send them: as frames and inside them.

``tests/data/json`` says which are valid. The parser accepts those wherever it passes over a value
and refuses the others, the writer splices no other, and never is a neighbour harmed.
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

import written_segment
from fluxforge._native import ParsedSegment
from fluxforge.etl.readers import parse_segment
from segment_bytes import envelope, level2, update
from through_the_writer import write

JSON = Path(__file__).parents[1] / "data" / "json"
DOCUMENTS = {
    f"{path.parent.name}/{path.stem}": path.read_bytes() for path in sorted(JSON.glob("*/*.json"))
}
# No parser can tell these from the bytes around them: the writer must not splice them.
FORGERIES = {name for name in DOCUMENTS if name.startswith("invalid/splice_")}
ON_ONE_LINE = {
    name: data for name, data in DOCUMENTS.items() if b"\n" not in data and name not in FORGERIES
}

FRAME = level2(update(), sequence=2)
BEFORE, AFTER = envelope(level2(update(), sequence=1)), envelope(level2(update(), sequence=3))
# A key that the feed does not name, on every level, and one that it names and does not read.
PLACES = {
    "the envelope": b'{"capture_ts"',
    "the frame": b'{"channel"',
    "an event": b'{"type"',
    "a row": b'{"side"',
    "a row's end": b'"new_quantity":"2"',
    "an ignored field": b'"sequence_num"',
}


def inside(document: bytes, place: str) -> bytes:
    """A good line that holds the document as a value which the parser passes over."""
    key = b'"client_id":' if place == "an ignored field" else b'"new":'
    where = PLACES[place]
    if place == "a row's end":
        return envelope(FRAME).replace(where, where + b"," + key + document, 1)
    start = b"{" if where.startswith(b"{") else b""
    return envelope(FRAME).replace(where, start + key + document + b"," + where.lstrip(b"{"), 1)


def level2_rows(parsed: ParsedSegment) -> list[tuple[int, int]]:
    table = pa.table(parsed.tables["level2"])
    return list(
        zip(
            table.column("record").to_pylist(),
            table.column("sequence_num").to_pylist(),
            strict=True,
        )
    )


def between_neighbours(line: bytes) -> ParsedSegment:
    """Parse the line between two good ones, which must stay as they are."""
    parsed = parse_segment(BEFORE + line + AFTER)
    assert parsed.balance.holds()
    assert parsed.balance.frames == 3
    rows = level2_rows(parsed)
    assert (rows[0], rows[-1]) == ((0, 1), (2, 3))
    for reject in pa.table(parsed.rejects).to_pylist():
        assert (reject["record"], reject["line"], reject["offset"]) == (1, 2, len(BEFORE))
        assert reject["data"] + b"\n" == line
    return parsed


@pytest.mark.parametrize("name", ON_ONE_LINE)
def test_a_document_as_a_frame_harms_no_neighbour(name: str) -> None:
    document = ON_ONE_LINE[name]
    parsed = between_neighbours(envelope(document))
    if name.startswith("invalid/"):
        assert parsed.balance.rejected == 1
    elif name.startswith("valid/") and document.strip().startswith(b"{"):
        # It is read to its end before anyone says that it routes nowhere.
        reasons = pa.table(parsed.rejects).column("reason").to_pylist()
        assert reasons == ["no channel"] or parsed.balance.ignored


@pytest.mark.parametrize("name", ON_ONE_LINE)
def test_a_document_that_is_passed_over_is_checked_all_the_same(name: str) -> None:
    for place in PLACES:
        parsed = between_neighbours(inside(ON_ONE_LINE[name], place))
        kept = level2_rows(parsed)[1:-1] == [(1, 2)]
        assert kept == (parsed.balance.rejected == 0), place
        if not name.startswith("either/"):
            assert kept == name.startswith("valid/"), place


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One segment: each document as a frame, then each inside one."""
    frames = [
        level2(update()).replace(b"{", b'{"new":%s,' % data, 1) for data in DOCUMENTS.values()
    ]
    return write(tmp_path_factory.mktemp("sealed"), [*DOCUMENTS.values(), *frames])


def test_the_writer_splices_documents_only_and_gives_all_back(sealed: Path) -> None:
    # An independent reader: every line is JSON, every proof holds.
    assert written_segment.read(sealed).frames[: len(DOCUMENTS)] == list(DOCUMENTS.values())
    lines = [line for line in sealed.read_bytes().splitlines() if b'"capture_ts"' in line]
    for (name, document), line in zip(DOCUMENTS.items(), lines, strict=False):
        spliced = "data" in json.loads(line)
        if name.startswith("valid/"):
            assert spliced == (not {*b"\r\n"} & {*document}), name
        elif name.startswith("invalid/"):
            assert not spliced, name


def test_what_the_writer_quoted_is_parsed_as_if_it_stood_there(sealed: Path) -> None:
    parsed = parse_segment(sealed)
    assert parsed.verified
    assert parsed.balance.holds()
    kept = {record for record, _ in level2_rows(parsed)}
    for record, name in enumerate(DOCUMENTS, start=len(DOCUMENTS)):
        if not name.startswith("either/") and name not in FORGERIES:
            assert (record in kept) == name.startswith("valid/"), name


def test_every_kind_is_there() -> None:
    kinds = [name.partition("/")[0] for name in DOCUMENTS]
    assert (kinds.count("valid"), kinds.count("invalid"), kinds.count("either")) > (120, 200, 30)

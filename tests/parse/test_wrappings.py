"""The same frames sealed, without header and seal, and as the predecessor wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from fluxforge._native import ParsedSegment
from fluxforge.etl.readers import parse_segment
from fluxforge.etl.readers.parse import Numbers
from parsed_bytes import arrow_bytes, books
from segment_bytes import SegmentBytes, compact

DOCUMENTED = Path(__file__).parents[1] / "data" / "segments" / "documented.ndjson"


class Captured(NamedTuple):
    """A frame as it was captured; ``data`` is what stands in the segment, to the byte."""

    capture_ts: str
    conn: str
    data: bytes


def captured() -> list[Captured]:
    frames = []
    for line in DOCUMENTED.read_bytes().splitlines():
        document = json.loads(line)
        if "data" in document:
            data = line[line.index(b'"data":') + 7 : -1]
            frames.append(Captured(document["capture_ts"], document["conn"], data))
    return frames


def ours(frame: Captured) -> bytes:
    return b'{"capture_ts":"%s","conn":"%s","data":%s}\n' % (
        frame.capture_ts.encode(),
        frame.conn.encode(),
        frame.data,
    )


def predecessors(frame: Captured) -> bytes:
    metadata = compact({"source": "coinbase", "received_at": frame.capture_ts, "attempt": 1})
    return b'{"capture_ts": "%s", "data": %s, "metadata": %s}\n' % (
        frame.capture_ts.encode(),
        frame.data,
        metadata,
    )


def sealed(frames: list[Captured]) -> bytes:
    segment = SegmentBytes()
    for start in range(0, len(frames), 7):
        segment.frames(*map(ours, frames[start : start + 7]))
        segment.checkpoint()
    return segment.seal()


def sayings(parsed: ParsedSegment, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a segment says, but for where it stood in its file."""
    rejects = pa.table(parsed.rejects).select(["record", "reason"]).to_pylist()
    told = {name: value for name, value in books(parsed).items() if name != "raw"}
    told["tables"] = {
        name: arrow_bytes(pa.table(native).drop_columns(list(without)))
        for name, native in parsed.tables.items()
    }
    places = [(p.table, p.product_id, p.date, p.num_rows) for p in parsed.partitions]
    return told | {"rejects": rejects, "places": places}


@pytest.mark.parametrize("numbers", ["float64", "decimal"])
def test_a_segment_without_header_and_seal_parses_the_same(numbers: Numbers) -> None:
    frames = captured()
    whole = parse_segment(sealed(frames), numbers=numbers)
    plain = parse_segment(b"".join(map(ours, frames)), numbers=numbers)
    assert whole.verified
    assert not plain.verified
    assert whole.balance.parsed > 25
    assert sayings(plain) == sayings(whole)


@pytest.mark.parametrize("numbers", ["float64", "decimal"])
def test_the_predecessors_envelope_parses_the_same(numbers: Numbers) -> None:
    # It had one connection and did not say which.
    frames = [frame for frame in captured() if frame.conn == "c1"]
    whole = sayings(parse_segment(sealed(frames), numbers=numbers), without=("conn",))
    old = parse_segment(b"".join(map(predecessors, frames)), numbers=numbers)
    assert all(set(pa.table(t).column("conn").to_pylist()) <= {""} for t in old.tables.values())
    told = sayings(old, without=("conn",))
    (span,) = told["connections"]
    assert span["conn"] == ""
    span["conn"] = "c1"
    assert told == whole


def test_the_frames_are_those_of_the_documented_segment() -> None:
    again = parse_segment(sealed(captured()))
    original = parse_segment(DOCUMENTED)
    # The original has events and a frame that is no JSON besides.
    assert again.balance.rows == original.balance.rows
    assert again.balance.frames == original.balance.frames - 1

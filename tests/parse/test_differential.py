"""Made-up messages of every shape, through the parser and through its plain-Python twin."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Context
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxforge._native import Balance, ParsedSegment
from fluxforge.etl.readers import parse_segment
from fluxforge.etl.readers.parse import Numbers
from made_messages import How, odd_frames, oddities, wire_frames, with_an_oddity, written
from parse_oracle import REJECTED, Convert, Rows, census, expected
from segment_bytes import envelope

_EXACT = Context(prec=38)  # Python's own would round to 28 digits


def parsed_rows(parsed: ParsedSegment) -> dict[int, Rows]:
    """The tables' rows by frame, as the oracle writes them."""
    found: dict[int, Rows] = {}
    for name, native in parsed.tables.items():
        table = pa.table(native)
        columns: dict[str, list[Any]] = {}
        for field in table.schema:
            column = table.column(field.name)
            if pa.types.is_timestamp(field.type):
                column = column.cast(pa.int64())
            values = column.to_pylist()
            if pa.types.is_floating(field.type):
                values = [None if v is None else v.hex() for v in values]
            if pa.types.is_decimal(field.type):
                values = [None if v is None else int(v.scaleb(18, _EXACT)) for v in values]
            columns[field.name] = values
        for name_ in ("capture_ts", "conn", "date"):
            del columns[name_]
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(columns, values, strict=True)) | {"table": name}
            found.setdefault(row.pop("record"), []).append(row)
    for rows in found.values():
        rows.sort(key=lambda row: row["item"])
    return found


def counted(balance: Balance) -> Counter[tuple[str, str, str]]:
    """The parser's census as the oracle writes it."""
    return Counter(
        {
            (kind, channel, path): count
            for kind in ("unknown", "missing", "null", "retyped")
            for channel, counts in getattr(balance, f"{kind}_fields").items()
            for path, count in counts.items()
        }
    )


def agree(texts: list[bytes], numbers: Numbers) -> None:
    lines = [envelope(text) for text in texts]
    parsed = parse_segment(b"".join(lines), numbers=numbers)
    assert parsed.balance.holds()
    assert parsed.balance.frames == len(texts)
    rejects = pa.table(parsed.rejects).to_pylist()
    for reject in rejects:
        record = reject["record"]
        assert (reject["line"], reject["offset"]) == (record + 1, sum(map(len, lines[:record])))
        assert reject["data"] + b"\n" == lines[record]
        assert reject["reason"]
    rejected = {reject["record"] for reject in rejects}
    inexact: Counter[str] = Counter()
    rows = parsed_rows(parsed)
    ignored: dict[str, int] = {}
    differences: Counter[tuple[str, str, str]] | None = Counter()
    for record, text in enumerate(texts):
        convert = Convert(decimals=numbers == "decimal")
        wanted = expected(text, convert)
        assert (wanted == REJECTED) == (record in rejected), text
        if isinstance(wanted, list):
            assert rows.pop(record, []) == wanted, text
            if wanted:
                inexact[wanted[0]["table"]] += convert.inexact
            shown = census(text)
            differences = None if shown is None or differences is None else differences + shown
        elif wanted != REJECTED:
            ignored[wanted] = ignored.get(wanted, 0) + 1
    assert rows == {}
    assert parsed.balance.ignored == ignored
    assert Counter(parsed.balance.inexact) == inexact
    if differences is not None:
        assert counted(parsed.balance) == differences


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.tuples(odd_frames, st.integers(0, 15), st.integers(0, 2**32)), min_size=1, max_size=5
    ),
    st.sampled_from(["float64", "decimal"]),
)
def test_messages_of_any_shape(made: list[tuple[Any, int, int]], numbers: Numbers) -> None:
    texts = [
        written(frame, random.Random(seed), How(flags)).encode("utf-8", "replace")
        for frame, flags, seed in made
    ]
    # Whoever comes again is known by his shape, and read by template.
    agree([*texts, *texts[::-1], *texts], numbers)


@settings(max_examples=300, deadline=None)
@given(
    before=wire_frames,
    frame=wire_frames,
    oddity=oddities,
    flags=st.integers(0, 15),
    seed=st.integers(0, 2**32),
    numbers=st.sampled_from(["float64", "decimal"]),
)
def test_ordinary_messages_with_one_oddity(
    *, before: Any, frame: Any, oddity: Any, flags: int, seed: int, numbers: Numbers
) -> None:
    """What is read by template meets what is not, in one frame and from frame to frame."""
    rng = random.Random(seed)
    usual = [written(each, rng, How(0)).encode() for each in (before, frame)]
    changed = with_an_oddity(frame, rng, oddity)
    odd = [written(changed, rng, How(how)).encode("utf-8", "replace") for how in (0, flags)]
    agree([*usual, *odd, *usual[::-1], *odd], numbers)


@settings(max_examples=120, deadline=None)
@given(odd_frames, st.integers(0, 15), st.integers(0, 2**32), st.data())
def test_damaged_messages(frame: Any, flags: int, seed: int, data: st.DataObject) -> None:
    text = written(frame, random.Random(seed), How(flags)).encode("utf-8", "replace")
    at = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.sampled_from(b'"\\{}[]:,0e.-tn \x1fx\xff'))
    for damaged in (
        text[:at] + bytes([byte]) + text[at + 1 :],
        text[:at] + text[at + 1 :],
        text[:at] + bytes([byte]) + text[at:],
    ):
        agree([damaged], "float64")

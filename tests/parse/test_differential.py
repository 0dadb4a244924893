"""Made-up messages of every shape, through the parser and through its plain-Python twin."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from decimal import Context, Decimal
from typing import Any, Literal

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxforge._native import Balance, ParsedSegment
from fluxforge.etl.readers import parse_segment
from parse_oracle import REJECTED, STATUS, TICKER, Convert, Rows, census, expected
from segment_bytes import envelope

ABSENT = object()


class Verbatim(str):
    """A JSON value given by its text."""

    __slots__ = ()


def sometimes(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> Any:
    """Mostly the usual: a message in which everything is odd shows only the first oddity.

    The odd number lies in the middle, for hypothesis likes ends.
    """
    return st.integers(0, 99).flatmap(lambda n: odd if n == 77 else usual)


def sometimes_none(usual: st.SearchStrategy[Any]) -> Any:
    """What the feed lets be null: now and then it is, or is not there."""
    nothing = st.sampled_from([None, ABSENT])
    return st.integers(0, 9).flatmap(lambda n: nothing if n == 7 else usual)


def halfway(value: float) -> str:
    """The text of the very middle between a float and the next, where rounding is decided."""
    context = Context(prec=800)
    step = context.subtract(Decimal(math.nextafter(value, math.inf)), Decimal(value))
    return format(context.add(Decimal(value), context.divide(step, Decimal(2))), "f")


number_texts = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=8).map(str),
    st.decimals(-(10**7), 10**7, allow_nan=False, places=8).map(lambda d: f"{d.normalize():f}"),
    st.from_regex(r"-?(0|[1-9][0-9]{0,21})(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    # What Python's float allows beyond JSON.
    st.from_regex(
        r"[+-]?([0-9]{1,9}\.?[0-9]{0,9}|\.[0-9]{1,9})([eE][+-]?0?[0-9])?", fullmatch=True
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(1e-30, 1e30).map(halfway),
    st.floats(1e15, 1e22).map(halfway),
    st.text("0123456789", min_size=1, max_size=40),
    st.sampled_from([
        "99999999999999999999.999999999999999999", "-99999999999999999999.999999999999999999",
        "100000000000000000000", "99999999999999999999.9999999999999999990", "1e-18", "1e-19",
        "10e-19", "1E+20", "0e99999999999", "-0", "123456789012345", "1234567890123456",
        "9007199254740993", "1.7976931348623158e308", "1.7976931348623159e308", "4.9e-324",
        "2.4703282292062327e-324", "2.4703282292062328e-324",
    ]),
)  # fmt: skip
junk = st.one_of(
    st.none(), st.booleans(), st.just([]), st.just({"a": [{}]}), st.just(""), st.text(max_size=8),
    st.sampled_from(["1.", ".5", "+1", "1e", "inf", "nan", "0x1", "1_0", " 1", "1e400", "-"]),
    st.just(ABSENT),
)  # fmt: skip
json_numbers = st.from_regex(
    r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
).map(Verbatim)
numbers = sometimes(st.one_of(number_texts, json_numbers), junk)
times = sometimes(
    st.one_of(
        st.from_regex(
            r"20[0-9]{2}-(0[1-9]|1[0-2])-([0-2][1-9]|30|31)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
            r"(\.[0-9]{1,9})?(Z|z|[+-](0[0-9]|1[0-9]):[0-5][0-9])",
            fullmatch=True,
        ),
        st.sampled_from(
            [
                "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0000-02-29T00:00:00Z",
                "1970-01-01T00:00:00.000000000Z", "1970-01-01T05:30:00+05:30",
                "2262-04-11T23:47:16.854775807Z", "2262-04-11T23:47:16.854775808Z",
                "1677-09-21T00:12:43.145224192Z", "1677-09-21T00:12:43.145224191Z",
            ]
        ),
    ),
    junk | st.sampled_from([
        "2025-12-03T14:00:00.1234567890Z", "2025-12-03T14:00:60Z", "2025-02-29T00:00:00Z",
        "2025-12-03T24:00:00Z", "2025-12-03T14:00:00", "2025-12-03 14:00:00Z",
        "2025-12-03T14:00:00.Z", "2025-12-03T14:00:00+24:00", "2025-12-03T14:00:00Z ",
        "2025-13-03T14:00:00Z", "20251203T140000Z",
    ]),
)  # fmt: skip
products = sometimes(st.sampled_from(["BTC-USD", "ETH-USD", "é/../💡"]), st.text() | junk)
texts = sometimes(st.sampled_from(["bid", "offer", "BUY", 'a"\\\n\t/é💡']), json_numbers | junk)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    unknown: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
        st.text(min_size=1, max_size=4), junk, max_size=1
    )
    known = st.fixed_dictionaries(fields)
    both: st.SearchStrategy[dict[str, Any]] = st.tuples(unknown, known).map(_joined)
    return both


def _joined(both: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    return both[0] | both[1]


def rows_of(**fields: st.SearchStrategy[Any]) -> Any:
    return sometimes(st.lists(objects(**fields), min_size=1, max_size=4), junk)


def events(name: str, rows: Any, **fields: st.SearchStrategy[Any]) -> Any:
    return sometimes(
        st.lists(
            objects(type=sometimes_none(texts), **fields, **{name: rows}), min_size=1, max_size=3
        ),
        junk,
    )


BODIES = {
    "l2_data": events(
        "updates",
        rows_of(
            side=texts, event_time=sometimes_none(times), price_level=numbers, new_quantity=numbers
        ),
        product_id=products,
    ),
    "ticker": events(
        "tickers",
        rows_of(type=texts, product_id=products, **dict.fromkeys(TICKER, sometimes_none(numbers))),
    ),
    "market_trades": events(
        "trades",
        rows_of(
            trade_id=texts,
            product_id=products,
            price=numbers,
            size=numbers,
            side=texts,
            time=sometimes_none(times),
        ),
    ),
    "candles": events(
        "candles",
        rows_of(
            start=sometimes(st.integers(-(10**12), 10**12).map(str), numbers),
            product_id=products,
            **dict.fromkeys(("open", "high", "low", "close", "volume"), numbers),
        ),
    ),
    "status": events("products", rows_of(**dict.fromkeys(STATUS, sometimes_none(texts)))),
    "heartbeats": st.just([{}]),
    "subscriptions": st.just([{}]),
    "alien": st.just([]),
}
BODIES["ticker_batch"] = BODIES["ticker"]

frames = st.sampled_from(sorted(BODIES)).flatmap(
    lambda channel: objects(
        channel=sometimes(st.just(channel), junk),
        client_id=st.just(""),
        timestamp=sometimes_none(times),
        sequence_num=sometimes_none(sometimes(st.integers(0, 99).map(Verbatim), numbers)),
        type=sometimes(st.just(ABSENT), st.sampled_from(["error", "other", 7])),
        events=BODIES[channel],
    )
)


def written(value: Any, rng: random.Random, how: Any) -> str:
    """JSON text of the value, with shuffled keys, white space, escapes and doubled keys at will."""
    space = rng.choice(["", "", "", " ", "\t", "\r", " \r\t "]) if how.spaced else ""
    if isinstance(value, Verbatim):
        return str(value)
    if isinstance(value, dict):
        items = [(k, v) for k, v in value.items() if v is not ABSENT]
        if how.shuffled:
            rng.shuffle(items)
        if how.doubled and items and rng.random() < 0.05:
            items.append((rng.choice(items)[0], rng.choice(items)[1]))
        inside = f"{space},{space}".join(
            f"{quoted(k, rng, how)}{space}:{space}{written(v, rng, how)}" for k, v in items
        )
        return f"{{{space}{inside}{space}}}"
    if isinstance(value, list):
        inside = f"{space},{space}".join(written(v, rng, how) for v in value if v is not ABSENT)
        return f"[{space}{inside}{space}]"
    if isinstance(value, str):
        return quoted(value, rng, how)
    return json.dumps(value)


def quoted(text: str, rng: random.Random, how: Any) -> str:
    if how.escaped and text and rng.random() < 0.3:
        at = rng.randrange(len(text))
        units = text[at].encode("utf-16-be", "surrogatepass").hex()
        escape = "".join(f"\\u{units[n : n + 4]}" for n in range(0, len(units), 4))
        return json.dumps(text[:at])[:-1] + escape + json.dumps(text[at + 1 :])[1:]
    return json.dumps(text, ensure_ascii=rng.random() < 0.5)


class How:
    """How a message is written; the wire's own way is all of it False."""

    def __init__(self, flags: int) -> None:
        self.shuffled = bool(flags & 1)
        self.spaced = bool(flags & 2)
        self.escaped = bool(flags & 4)
        self.doubled = bool(flags & 8)


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
                values = [None if v is None else int(v.scaleb(18)) for v in values]
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


def agree(texts: list[bytes], numbers: Literal["float64", "decimal"]) -> None:
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
    st.lists(st.tuples(frames, st.integers(0, 15), st.integers(0, 2**32)), min_size=1, max_size=5),
    st.sampled_from(["float64", "decimal"]),
)
def test_messages_of_any_shape(
    made: list[tuple[Any, int, int]], numbers: Literal["float64", "decimal"]
) -> None:
    texts = [
        written(frame, random.Random(seed), How(flags)).encode("utf-8", "replace")
        for frame, flags, seed in made
    ]
    # Whoever comes again is known by his shape, and read by template.
    agree([*texts, *texts[::-1], *texts], numbers)


@settings(max_examples=120, deadline=None)
@given(frames, st.integers(0, 15), st.integers(0, 2**32), st.data())
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

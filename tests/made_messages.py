"""Messages for the parser and its twin: the wire's own, odd ones, and how they are written."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from hypothesis import strategies as st

from parse_oracle import STATUS, TICKER

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


@dataclass(frozen=True, kw_only=True)
class Values:
    """What stands at the leaves of a message, and what may stand in place of a whole branch."""

    numbers: Any
    times: Any
    texts: Any
    products: Any
    sequences: Any
    starts: Any
    nullable: Any
    branch: Any
    unknown: Any

    def objects(self, **fields: Any) -> Any:
        return st.tuples(self.unknown, st.fixed_dictionaries(fields)).map(lambda t: t[0] | t[1])

    def events(self, name: str, of_event: dict[str, Any] | None = None, **row: Any) -> Any:
        rows = self.branch(st.lists(self.objects(**row), min_size=1, max_size=4))
        event = self.objects(type=self.nullable(self.texts), **(of_event or {}), **{name: rows})
        return self.branch(st.lists(event, min_size=1, max_size=3))

    def bodies(self) -> dict[str, Any]:
        """The ``events`` of each channel."""
        numbers, texts, product = self.numbers, self.texts, {"product_id": self.products}
        time, number = self.nullable(self.times), self.nullable(numbers)
        level = {"price_level": numbers, "new_quantity": numbers}
        trade = {"trade_id": texts, "price": numbers, "size": numbers, "side": texts, "time": time}
        prices = dict.fromkeys(("open", "high", "low", "close", "volume"), numbers)
        ticker = dict.fromkeys(TICKER, number)
        quiet = {name: value for name, value in ticker.items() if "best" not in name}
        return {
            "l2_data": self.events("updates", product, side=texts, event_time=time, **level),
            "ticker": self.events("tickers", type=texts, **product, **ticker),
            "ticker_batch": self.events("tickers", type=texts, **product, **quiet),
            "market_trades": self.events("trades", **product, **trade),
            "candles": self.events("candles", start=self.starts, **prices, **product),
            "status": self.events("products", **dict.fromkeys(STATUS, self.nullable(texts))),
        }

    def frames(self, bodies: dict[str, Any], **more: Any) -> Any:
        """A frame of any of the channels."""
        return st.sampled_from(sorted(bodies)).flatmap(
            lambda channel: self.objects(
                channel=self.branch(st.just(channel)),
                client_id=st.just(""),
                timestamp=self.nullable(self.times),
                sequence_num=self.nullable(self.sequences),
                **more,
                events=bodies[channel],
            )
        )


ODD = Values(
    numbers=numbers,
    times=times,
    texts=texts,
    products=products,
    sequences=sometimes(st.integers(0, 99).map(Verbatim), numbers),
    starts=sometimes(st.integers(-(10**12), 10**12).map(str), numbers),
    nullable=sometimes_none,
    branch=lambda usual: sometimes(usual, junk),
    unknown=st.dictionaries(st.text(min_size=1, max_size=4), junk, max_size=1),
)
WIRE = Values(
    numbers=st.sampled_from(["0", "1", "64281.7", "0.00012345", "1234567.12345678", "-2.5", "-0"]),
    times=st.sampled_from(
        [
            "2026-04-07T14:30:00.123456789Z",
            "2026-04-07T14:30:00Z",
            "2026-04-07T14:30:01.5Z",
            "1970-01-01T00:00:00Z",
        ]
    ),
    texts=st.sampled_from(["bid", "offer", "BUY", "SELL", "995098663"]),
    products=st.sampled_from(["BTC-USD", "ETH-USD"]),
    sequences=st.integers(0, 10**6).map(Verbatim),
    starts=st.just("1775572200"),
    nullable=lambda usual: usual,
    branch=lambda usual: usual,
    unknown=st.just({}),
)
ALIEN = {name: st.just([{}]) for name in ("heartbeats", "subscriptions", "alien")}
odd_frames = ODD.frames(
    ODD.bodies() | ALIEN, type=sometimes(st.just(ABSENT), st.sampled_from(["error", "other", 7]))
)
wire_frames = WIRE.frames(WIRE.bodies())
# The likely ones first: a venue that leaves a value out, nulls it or drops its quotes.
oddities = st.booleans().flatmap(
    lambda likely: (
        st.sampled_from([None, ABSENT, Verbatim("1.5"), "1e2", "2026-04-07T14:30:00+00:00"])
        if likely
        else st.one_of(junk, numbers, times, texts, products, json_numbers)
    )
)


def with_an_oddity(frame: Any, rng: random.Random, oddity: Any) -> Any:
    """The frame with one of its values replaced, or with one key more."""
    places = list(_places(frame))
    if rng.random() < 0.9:
        places = [(place, key) for place, key in places if isinstance(place[key], str)]
    place, key = rng.choice(places)
    if isinstance(place, dict) and rng.random() < 0.2:
        place["new"] = oddity
    else:
        place[key] = oddity
    return frame


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in the value with each of its keys."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


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

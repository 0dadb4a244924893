"""The parser again, in plain Python: json, decimal and datetime, frame by frame, no speed.

It knows the feed's tables by the design, not by the feed's description: a wrong description is
caught too. A frame is its rows, a name under which it is ignored, or ``REJECTED``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

REJECTED = "rejected"
Rows = list[dict[str, Any]]

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SENTINELS = {0, -62_135_596_800 * 10**9}
PRICES = ["price", "volume_24_h", "low_24_h", "high_24_h", "low_52_w", "high_52_w"]
TICKER = [*PRICES, "price_percent_chg_24_h", "best_bid", "best_bid_quantity", "best_ask",
          "best_ask_quantity"]  # fmt: skip
STATUS = ["product_type", "id", "base_currency", "quote_currency", "base_increment",
          "quote_increment", "display_name", "status", "status_message",
          "min_market_funds"]  # fmt: skip


class Wrong(Exception):  # noqa: N818 - an answer, not an error
    """The frame is a reject."""


class NumberText(str):
    """A JSON number as it is written."""

    __slots__ = ()


def expected(frame: bytes, convert: Convert) -> Rows | str:
    """What the frame becomes. Rows lack what comes from the envelope."""
    try:
        value = json.loads(
            frame.decode(),
            object_pairs_hook=_once,
            parse_float=NumberText,
            parse_int=NumberText,
            parse_constant=_no_constant,
        )
        _shallow(value, 0)
        return _frame(value, convert)
    except (Wrong, ValueError, RecursionError):
        return REJECTED


def census(frame: bytes) -> Counter[tuple[str, str, str]] | None:
    """Count (kind, channel, path) where a good frame differs from what the design names.

    None where a key is half a surrogate pair, whose name the parser has to make up.
    """
    value = json.loads(frame, object_pairs_hook=_once, parse_float=NumberText, parse_int=NumberText)
    channel = _get(value, "channel")
    table, array, _ = TABLES[channel]
    top = {"channel": str, "timestamp": str, "sequence_num": NumberText, "events": list}
    event: dict[str, type] = {"type": str, array: list}
    rows = dict.fromkeys(COLUMNS[table], str)
    if table != "status":
        (event if table == "level2" else rows)["product_id"] = str
    # A ticker's `type` is passed over; quotes are where they are sent.
    passed = {"type"} if table == "ticker" else set()
    seldom = {name for name in TICKER if "best" in name} if channel == "ticker_batch" else set()
    found: Counter[tuple[str, str]] = Counter()
    for fields in _looked_at([value], "", top, found, passed={"client_id", "type"}):
        for inner in _looked_at(_objects(_get(fields, "events")), "events[].", event, found):
            below, prefix = _objects(_get(inner, array)), f"events[].{array}[]."
            list(_looked_at(below, prefix, rows, found, passed=passed, seldom=seldom))
    try:
        "".join(path for _, path in found).encode()
    except UnicodeEncodeError:
        return None
    return Counter({(kind, channel, path): n for (kind, path), n in found.items()})


def _looked_at(
    objects: list[dict[str, Any]],
    prefix: str,
    named: dict[str, type],
    found: Counter[tuple[str, str]],
    *,
    passed: Collection[str] = (),
    seldom: Collection[str] = (),
) -> Iterator[dict[str, Any]]:
    for fields in objects:
        for name, values in fields.items():
            if name in named:
                if values == [None]:
                    found["null", prefix + name] += 1
                elif type(values[0]) is not named[name]:
                    found["retyped", prefix + name] += 1
            elif name not in passed:
                found["unknown", prefix + name] += len(values)
        for name in named.keys() - fields.keys() - set(seldom):
            found["missing", prefix + name] += 1
        yield fields


class Convert:
    """Values to cells of one frame.

    Attributes:
        inexact: Values so far of which float64 keeps less than the text says.
    """

    def __init__(self, *, decimals: bool) -> None:
        self.decimals = decimals
        self.inexact = 0

    def number(self, value: Any) -> Any:
        if not isinstance(value, str) or not NUMBER.fullmatch(value):
            raise Wrong
        if not self.decimals:
            number = float(value)
            if number in {float("inf"), float("-inf")}:
                raise Wrong
            digits = re.sub(r"[^0-9]", "", re.split("[eE]", value)[0]).strip("0")
            self.inexact += len(digits) > 15 or (number == 0 and digits != "")
            return number.hex()
        try:
            sign, digits, exponent = Decimal(value).as_tuple()
        except InvalidOperation:
            raise Wrong from None
        magnitude = int("".join(map(str, digits)))
        if magnitude == 0:
            return 0
        assert isinstance(exponent, int)
        shift = exponent + 18
        if shift > 60 or (shift < 0 and (shift < -5000 or magnitude % 10**-shift)):
            raise Wrong
        magnitude = magnitude * 10**shift if shift >= 0 else magnitude // 10**-shift
        if magnitude >= 10**38:
            raise Wrong
        return -magnitude if sign else magnitude

    def time(self, value: Any) -> int | None:
        if not isinstance(value, str) or isinstance(value, NumberText):
            raise Wrong
        nanos = instant(value)
        if nanos is None:
            raise Wrong
        if nanos in SENTINELS:
            return None
        if not -(2**63) <= nanos < 2**63:
            raise Wrong
        return nanos

    def text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Wrong
        value.encode()  # half a surrogate pair is no text: a ValueError
        return str(value)

    def seconds(self, value: Any) -> int:
        number = self.integer(value)
        if not -62_135_596_800 <= number <= 253_402_300_799:
            raise Wrong
        return number

    def integer(self, value: Any) -> int:
        if not isinstance(value, str) or not re.fullmatch(r"[+-]?\d+", value, re.ASCII):
            raise Wrong
        number = int(value)
        if not -(2**63) <= number < 2**63 or len(value.lstrip("+-").lstrip("0")) > 19:
            raise Wrong
        return number


def instant(text: str) -> int | None:
    """Nanoseconds since 1970, of any year; None if it is not RFC 3339."""
    match = TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction, sign, hours, minutes = match.groups()[6:]
    # datetime has no year 0, RFC 3339 has: four centuries later the calendar is the same.
    shifted = year + 400 if year == 0 else year
    try:
        moment = datetime(shifted, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    seconds = (moment - EPOCH) // timedelta(seconds=1)
    seconds -= 146_097 * 86_400 if year == 0 else 0
    if sign:
        if int(hours) > 23 or int(minutes) > 59:
            return None
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds -= -offset if sign == "-" else offset
    return seconds * 10**9 + int((fraction or "0").ljust(9, "0"))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Keep how often each key came: only keys that the feed reads must come once."""
    counts: dict[str, Any] = {}
    for key, value in pairs:
        counts.setdefault(key, []).append(value)
    return counts


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _shallow(value: Any, depth: int) -> None:
    if depth > 128:
        raise Wrong
    if isinstance(value, dict):
        for values in value.values():
            for each in values:
                _shallow(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _shallow(each, depth + 1)


def _get(fields: dict[str, Any], key: str) -> Any:
    values = fields.get(key, [None])
    if len(values) > 1:
        raise Wrong
    return values[0]


def _frame(value: Any, convert: Convert) -> Rows | str:
    if not isinstance(value, dict):
        raise Wrong
    for key in ("channel", "timestamp", "sequence_num", "events", "type", "client_id"):
        _get(value, key)
    channel = _get(value, "channel")
    if channel is None and _get(value, "type") == "error":
        return "error"
    if type(channel) is not str:
        raise Wrong
    if channel in {"heartbeats", "subscriptions"}:
        return channel
    if channel not in TABLES:
        raise Wrong
    head = {
        "table": TABLES[channel][0],
        "server_ts": _optional(value, "timestamp", convert.time),
        "sequence_num": _optional(value, "sequence_num", convert.integer),
    }
    rows: Rows = []
    for event in _objects(_get(value, "events")):
        for row in _event(event, channel, convert):
            rows.append(head | row | {"item": len(rows)})
    return rows


def _event(event: dict[str, Any], channel: str, convert: Convert) -> Rows:
    table, array, reader = TABLES[channel]
    common = {"event_type": _optional(event, "type", convert.text)}
    if table == "level2":
        common["product_id"] = _get(event, "product_id")
        if not (common["product_id"] is None or type(common["product_id"]) is str):
            raise Wrong
    if table == "ticker":
        common["channel"] = channel
    rows = [common | reader(fields, convert) for fields in _objects(_get(event, array))]
    for row in rows:
        if table != "status":
            _check_product(row["product_id"])
    return rows


def _objects(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Wrong
    return value


def _check_product(value: Any) -> None:
    if type(value) is not str or not value or len(value.encode()) > 64:
        raise Wrong
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in value):
        raise Wrong
    if value == "__HIVE_DEFAULT_PARTITION__":
        raise Wrong


def _optional(fields: dict[str, Any], key: str, convert: Any) -> Any:
    value = _get(fields, key)
    return None if value is None else convert(value)


def _level2(fields: dict[str, Any], convert: Convert) -> dict[str, Any]:
    return {
        "side": convert.text(_get(fields, "side")),
        "event_time": _optional(fields, "event_time", convert.time),
        "price_level": convert.number(_get(fields, "price_level")),
        "new_quantity": convert.number(_get(fields, "new_quantity")),
    }


def _ticker(fields: dict[str, Any], convert: Convert) -> dict[str, Any]:
    _get(fields, "type")
    numbers = {name: _optional(fields, name, convert.number) for name in TICKER}
    return {"product_id": _get(fields, "product_id")} | numbers


def _trade(fields: dict[str, Any], convert: Convert) -> dict[str, Any]:
    return {
        "product_id": _get(fields, "product_id"),
        "trade_id": convert.text(_get(fields, "trade_id")),
        "price": convert.number(_get(fields, "price")),
        "size": convert.number(_get(fields, "size")),
        "side": convert.text(_get(fields, "side")),
        "time": _optional(fields, "time", convert.time),
    }


def _candle(fields: dict[str, Any], convert: Convert) -> dict[str, Any]:
    names = ("open", "high", "low", "close", "volume")
    return {
        "product_id": _get(fields, "product_id"),
        "start": convert.seconds(_get(fields, "start")),
        **{name: convert.number(_get(fields, name)) for name in names},
    }


def _status(fields: dict[str, Any], convert: Convert) -> dict[str, Any]:
    return {name: _optional(fields, name, convert.text) for name in STATUS}


TABLES: dict[str, tuple[str, str, Any]] = {
    "l2_data": ("level2", "updates", _level2),
    "ticker": ("ticker", "tickers", _ticker),
    "ticker_batch": ("ticker", "tickers", _ticker),
    "market_trades": ("market_trades", "trades", _trade),
    "candles": ("candles", "candles", _candle),
    "status": ("status", "products", _status),
}

COLUMNS = {
    "level2": ["side", "event_time", "price_level", "new_quantity"],
    "ticker": TICKER,
    "market_trades": ["trade_id", "price", "size", "side", "time"],
    "candles": ["start", "open", "high", "low", "close", "volume"],
    "status": STATUS,
}

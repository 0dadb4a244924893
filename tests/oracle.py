"""What the lake must hold, worked out a second time from what the exchange sent.

Standard library only, and nothing of fluxforge: an oracle that shared the parser would share its
mistakes. From the simulator's journal it makes the rows of every table; from rows read back with
any library it makes the same digest.

A row is a tuple in the order of ``COLUMNS[table]``. Whoever reads a lake hands in, per column:
numbers as float (or Decimal), integers as int, text as str, times as int nanoseconds since 1970
(``start`` of candles as int seconds), null as None.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

ENVELOPE = ("product_id", "sequence_num", "server_ts", "item", "event_type")
COLUMNS: dict[str, tuple[str, ...]] = {
    "level2": (*ENVELOPE, "side", "event_time", "price_level", "new_quantity"),
    "ticker": (
        *ENVELOPE,
        "channel",
        "price",
        "volume_24_h",
        "low_24_h",
        "high_24_h",
        "low_52_w",
        "high_52_w",
        "price_percent_chg_24_h",
        "best_bid",
        "best_bid_quantity",
        "best_ask",
        "best_ask_quantity",
    ),
    "market_trades": (*ENVELOPE, "trade_id", "price", "size", "side", "time"),
    "candles": (*ENVELOPE, "start", "open", "high", "low", "close", "volume"),
    "status": (
        "sequence_num",
        "server_ts",
        "item",
        "event_type",
        "product_type",
        "id",
        "base_currency",
        "quote_currency",
        "base_increment",
        "quote_increment",
        "display_name",
        "status",
        "status_message",
        "min_market_funds",
    ),
}
"""Per table, the columns that a row is compared by. ``item`` numbers the rows of one frame."""

TABLE_OF_CHANNEL = {
    "l2_data": ("level2", "updates"),
    "ticker": ("ticker", "tickers"),
    "ticker_batch": ("ticker", "tickers"),
    "market_trades": ("market_trades", "trades"),
    "candles": ("candles", "candles"),
    "status": ("status", "products"),
}
TEXT = {"product_id", "side", "trade_id", *COLUMNS["status"][4:]}
TIMES = {"event_time", "time"}

Row = tuple[object, ...]


def journal_frames(journal: Path | str, *, conn: int | None = None) -> Iterator[str]:
    """The text of every frame sent, of one connection or of all, in order."""
    with Path(journal).open(encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if "frame" in record and conn in {None, record["conn"]}:
                yield record["frame"]


def rows_of(frame: dict[str, Any]) -> Iterator[tuple[str, Row]]:
    """The rows that a decoded frame makes, as (table, row)."""
    if frame.get("channel") not in TABLE_OF_CHANNEL:
        return
    table, array = TABLE_OF_CHANNEL[frame["channel"]]
    item = 0
    for event in frame["events"]:
        for entry in event[array]:
            known = {
                **entry,
                "product_id": entry.get("product_id", event.get("product_id")),
                "sequence_num": frame["sequence_num"],
                "server_ts": nanoseconds(frame["timestamp"]),
                "item": item,
                "event_type": event["type"],
                "channel": frame["channel"],
            }
            yield table, tuple(_value(column, known.get(column)) for column in COLUMNS[table])
            item += 1


def _value(column: str, value: object) -> object:
    if value is None or column in {"sequence_num", "server_ts", "item", "event_type", "channel"}:
        return value
    if column in TEXT:
        return value
    if column in TIMES:
        return nanoseconds(str(value))
    if column == "start":
        return int(str(value))
    return float(Decimal(str(value)))


def nanoseconds(text: str) -> int | None:
    """RFC 3339 in UTC to nanoseconds; the venue's sentinels are None."""
    if text in {"1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"}:
        return None
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    whole = int(datetime.fromisoformat(seconds).replace(tzinfo=UTC).timestamp())
    return whole * 1_000_000_000 + int(fraction.ljust(9, "0"))


def expected_rows(frames: Iterable[str]) -> dict[str, Counter[Row]]:
    """Per table, the multiset of rows that frames make."""
    tables: dict[str, Counter[Row]] = {}
    for text in frames:
        for table, row in rows_of(json.loads(text)):
            tables.setdefault(table, Counter())[row] += 1
    return tables


def expected_counts(frames: Iterable[str]) -> Counter[tuple[str, str]]:
    """Rows per (channel on the wire, product)."""
    counts: Counter[tuple[str, str]] = Counter()
    for text in frames:
        frame = json.loads(text)
        for table, row in rows_of(frame):
            product = row[COLUMNS[table].index("id" if table == "status" else "product_id")]
            counts[frame["channel"], str(product)] += 1
    return counts


def digest(rows: Iterable[Row]) -> str:
    """SHA-256 over the sorted texts of rows: equal exactly for equal multisets of rows."""
    total = hashlib.sha256()
    for text in sorted("\x1f".join(_text(value) for value in row) for row in rows):
        total.update(text.encode() + b"\x1e")
    return total.hexdigest()


def expected_digests(frames: Iterable[str]) -> dict[str, str]:
    """Per table, the digest of the rows that frames make."""
    return {table: digest(rows.elements()) for table, rows in expected_rows(frames).items()}


def _text(value: object) -> str:
    if value is None:
        return "\x00"
    if isinstance(value, Decimal):
        return repr(float(value))
    return repr(value) if isinstance(value, float) else str(value)

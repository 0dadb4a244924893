"""What the documented frames become.

``expected.json`` was drawn up once with the standard library alone and read against the wire.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from fluxforge.etl.readers import parse_segment
from segment_bytes import GOLDEN, envelope

EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
TIMES = {"capture_ts", "server_ts", "event_time", "time"}


def frame(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes().strip()


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as expected.json writes it: times as integers, the rest as it is."""
    return {k: str(v) if isinstance(v, date | Decimal) else v for k, v in row.items()}


def rows(table: object) -> list[dict[str, Any]]:
    arrow = pa.table(table)
    for index, field in enumerate(arrow.schema):
        if pa.types.is_timestamp(field.type):
            arrow = arrow.set_column(index, field.name, arrow.column(index).cast(pa.int64()))
    return [plain(row) for row in arrow.to_pylist()]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_documented_frame_becomes_these_rows(name: str) -> None:
    parsed = parse_segment(envelope(frame(name)))
    expected = EXPECTED[name]
    assert parsed.balance.ignored == expected.get("ignored", {})
    assert parsed.balance.parsed == (0 if "ignored" in expected else 1)
    assert parsed.balance.unknown_fields == {}
    for table, native in parsed.tables.items():
        assert rows(native) == expected.get("rows", {}).get(table, [])


def test_decimals_keep_every_digit() -> None:
    parsed = parse_segment(envelope(frame("ticker")), numbers="decimal")
    column = pa.table(parsed.tables["ticker"]).column("volume_24_h")
    assert column.type == pa.decimal128(38, 18)
    assert column.to_pylist() == [Decimal("15328.123456780000000000")]


def test_types_are_those_of_the_design() -> None:
    parsed = parse_segment(b"")
    text, ns = pa.dictionary(pa.int32(), pa.string()), pa.timestamp("ns", "UTC")
    common = {
        "capture_ts": ns, "server_ts": ns, "conn": text, "sequence_num": pa.int64(),
        "record": pa.uint32(), "item": pa.uint32(), "event_type": text,
    }  # fmt: skip
    level2 = {
        "side": text, "event_time": ns, "price_level": pa.float64(), "new_quantity": pa.float64(),
        "product_id": text, "date": pa.date32(),
    }  # fmt: skip
    schema = pa.schema(parsed.tables["level2"])
    assert {field.name: field.type for field in schema} == common | level2
    assert schema.names == [*common, *level2]
    trades = pa.schema(parsed.tables["market_trades"])
    assert trades.field("trade_id").type == pa.string()
    assert pa.schema(parsed.tables["candles"]).field("start").type == pa.timestamp("s", "UTC")
    status = pa.schema(parsed.tables["status"])
    assert "product_id" not in status.names
    assert {status.field(name).type for name in status.names[7:-1]} == {pa.string()}


def test_the_hour_of_capture_decides_the_day_not_the_event() -> None:
    late = envelope(frame("l2_update"), capture_ts="2026-04-08T01:59:59.999999999+02:00")
    early = envelope(frame("l2_update"), capture_ts="2026-04-08T00:00:00Z")
    days = [p.date for p in parse_segment(late + early).partitions]
    assert days == ["2026-04-07", "2026-04-08"]
    (first, second) = parse_segment(late + early).partitions
    assert first.max_capture_ns == int(datetime(2026, 4, 8, tzinfo=UTC).timestamp()) * 10**9 - 1
    assert second.min_capture_ns == second.max_capture_ns == first.max_capture_ns + 1

"""When each product was delivered, read off real rows."""

from __future__ import annotations

import json

import pytest

from fluxforge import parse_segment
from fluxforge._native import captures_with, first_captures
from fluxforge.etl.coverage import Deliveries
from fluxforge.feeds import load_feed


def line(second: int, conn: str, channel: str, *events: dict) -> bytes:
    frame = {"channel": channel, "timestamp": "2026-04-07T14:30:00Z", "sequence_num": second}
    return json.dumps(
        {
            "capture_ts": f"1970-01-01T00:00:{second:02}Z",
            "conn": conn,
            "data": {**frame, "events": list(events)},
        },
        separators=(",", ":"),
    ).encode()


def book(product: str, kind: str = "update") -> dict:
    level = {"side": "bid", "event_time": "2026-04-07T14:30:00Z"}
    level |= {"price_level": "1.5", "new_quantity": "2"}
    return {"type": kind, "product_id": product, "updates": [level, level]}


def ticker(product: str) -> dict:
    return {"type": "update", "tickers": [{"type": "ticker", "product_id": product, "price": "1"}]}


LINES = [
    line(1, "a", "l2_data", book("BTC-USD", "snapshot"), book("ETH-USD", "snapshot")),
    line(2, "b", "l2_data", book("BTC-USD")),
    line(3, "a", "ticker_batch", ticker("BTC-USD")),
    line(4, "a", "ticker", ticker("BTC-USD")),
    line(5, "a", "status", {"type": "snapshot", "products": [{"id": "BTC-USD"}, {"id": None}]}),
    line(6, "a", "l2_data", book("BTC-USD")),
    line(7, "b", "l2_data", book("BTC-USD", "snapshot")),
    line(8, "a", "l2_data", book("BTC-USD", "snapshot")),
]
S = 10**9


def test_first_deliveries_and_snapshots_are_found_by_connection_channel_and_product():
    deliveries = Deliveries(load_feed("coinbase"))
    deliveries.add(parse_segment(b"\n".join(LINES) + b"\n").partitions)
    assert {
        key: (d.first_ns // S, {at // S for at in d.snapshots})
        for key, d in deliveries.found.items()
    } == {
        ("a", "level2", "BTC-USD"): (1, {1, 8}),
        ("a", "level2", "ETH-USD"): (1, {1}),
        ("b", "level2", "BTC-USD"): (2, {7}),
        ("a", "ticker", "BTC-USD"): (4, set()),
        ("a", "ticker_batch", "BTC-USD"): (3, set()),
        ("a", "status", "BTC-USD"): (5, set()),
    }


def test_what_comes_in_stretches_is_the_same():
    whole, pieces = Deliveries(load_feed("coinbase")), Deliveries(load_feed("coinbase"))
    whole.add(parse_segment(b"\n".join(LINES) + b"\n").partitions)
    for each in LINES:
        pieces.add(parse_segment(each + b"\n").partitions)
    assert pieces.found == whole.found


def test_a_column_that_is_not_there_or_holds_no_words_is_an_error():
    (partition, *_) = parse_segment(LINES[0] + b"\n").partitions
    for name in ("no_such", "price_level"):
        with pytest.raises(ValueError, match=name):
            first_captures(partition, by=[name])
        with pytest.raises(ValueError, match=name):
            captures_with(partition, column=name, word="snapshot")
    assert captures_with(partition, column="event_type", word="no such") == []

"""The feeds' descriptions."""

from __future__ import annotations

import dataclasses
import json

import pytest

from fluxforge._native import SegmentParser
from fluxforge.errors import FeedError
from fluxforge.feeds import known_feeds, load_feed


def test_every_feed_loads_and_compiles() -> None:
    assert "coinbase" in known_feeds()
    for name in known_feeds():
        feed = load_feed(name)
        assert feed.name == name
        assert tuple(SegmentParser(feed.spec).finish().tables) == feed.tables


def test_an_unknown_feed_names_those_that_exist() -> None:
    for name in ("nowhere", "../coinbase", ""):
        with pytest.raises(FeedError, match="known feeds: coinbase"):
            load_feed(name)


def test_coinbase_connects_as_documented() -> None:
    connection = load_feed("coinbase").connection
    assert connection.ws_url == "wss://advanced-trade-ws.coinbase.com"
    assert connection.wire_channel("level2") == "l2_data"
    assert connection.wire_channel("ticker") == "ticker"
    assert connection.heartbeat_channel in connection.default_channels
    assert set(connection.default_channels) <= set(connection.channels)
    assert connection.max_message_bytes == 64 * 2**20
    limits = connection.level2_products_per_connection_max
    assert connection.level2_products_per_connection <= limits == 30


def test_a_feed_cannot_be_changed() -> None:
    feed = load_feed("coinbase")
    with pytest.raises(dataclasses.FrozenInstanceError):
        feed.name = "other"  # type: ignore[misc] # the point of the test
    with pytest.raises(TypeError):
        feed.connection.wire_channels["a"] = "b"  # type: ignore[index] # the point of the test


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["version"], 2, "version"),
        (["tables"], {}, "no tables"),
        (["tables", "level2", "rows"], "events[].updates", "no array"),
        (["tables", "level2", "rows"], "other[].updates[]", "same key"),
        (["tables", "level2", "channels"], ["ticker"], "twice"),
        (["tables", "level2", "product_id"], "elsewhere", "on the way"),
        (["tables", "level2", "columns", 2, "nulls"], ["1970-01-01T00:00:00Z"], "timestamp"),
        (["tables", "level2", "columns", 1, "nulls"], ["never"], "RFC 3339"),
        (["tables", "level2", "columns", 0, "name"], "price_level", "twice"),
        (["tables", "level2", "columns", 0, "type"], "money", "money"),
        (["frame", "colour"], "red", "colour"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(
    path: list[str | int], value: object, says: str
) -> None:
    description = json.loads(load_feed("coinbase").spec)
    place = description
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(FeedError, match=says):
        SegmentParser(json.dumps(description).encode())

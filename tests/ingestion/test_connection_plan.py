"""Which products go over which socket."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from fluxforge.ingestion.collectors import Subscription, expect, plan_connections, take_shard


def plan(products, channels=("level2", "ticker"), size=10):
    return plan_connections(
        products, channels, products_per_connection=size, heartbeat_channel="heartbeats"
    )


def test_mistake_4_every_connection_subscribes_to_heartbeats_first():
    for socket in plan([f"P{i}-USD" for i in range(25)], channels=("level2",)):
        assert socket.subscriptions[0] == Subscription("heartbeats", ())


def test_heartbeats_asked_for_are_not_subscribed_twice():
    (socket,) = plan(["BTC-USD"], channels=("heartbeats", "level2"))
    assert [s.channel for s in socket.subscriptions] == ["heartbeats", "level2"]


def test_one_channel_per_message():
    (socket,) = plan(["BTC-USD", "ETH-USD"])
    assert [json.loads(s.message()) for s in socket.subscriptions] == [
        {"type": "subscribe", "channel": "heartbeats"},
        {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD", "ETH-USD"]},
        {"type": "subscribe", "channel": "ticker", "product_ids": ["BTC-USD", "ETH-USD"]},
    ]


@given(st.lists(st.text(min_size=1), unique=True), st.integers(1, 30))
def test_every_product_is_on_one_socket_and_no_socket_has_too_many(products, size):
    sockets = plan(products, size=size)
    by_socket = [socket.subscriptions[1].product_ids for socket in sockets]
    assert [product for shard in by_socket for product in shard] == products
    assert all(len(shard) <= size for shard in by_socket)
    assert [socket.index for socket in sockets] == list(range(len(sockets)))


@given(st.lists(st.text(min_size=1), unique=True), st.integers(1, 12))
def test_shards_share_the_products_out_completely_and_without_overlap(products, count):
    shards = [take_shard(products, index, count) for index in range(1, count + 1)]
    assert sorted(product for shard in shards for product in shard) == sorted(products)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert shards == [take_shard(products, index, count) for index in range(1, count + 1)]


def test_what_a_socket_carries_is_what_its_gap_taints():
    (socket,) = plan(["BTC-USD", "ETH-USD"], channels=("level2", "status"))
    assert socket.product_ids == ("BTC-USD", "ETH-USD")
    assert socket.products_of("level2") == ("BTC-USD", "ETH-USD")
    assert socket.products_of("ticker") == ()


def test_what_is_expected_grows_with_products_and_market():
    one, ten = plan(["P0"]), plan([f"P{i}" for i in range(10)])
    quiet, busy = (expect(ten, events_per_second=rate) for rate in (1, 10))
    assert expect(one, events_per_second=10).bytes < quiet.bytes * 10
    # A heartbeat a second, then level2 once and a ticker every fourth time the market changes.
    assert busy.frames == 1 + 10 * 10 * 1.25
    assert busy.raw_bytes_per_day > busy.bytes * 86_400

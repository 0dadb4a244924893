"""Each rule of the venue, over a real socket."""

import asyncio
import itertools
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from fluxforge.sim import (
    DEFAULT_PRODUCTS,
    JournalEvent,
    Rules,
    SimulatedExchange,
    choose_products,
    read_journal,
)
from sim.recorder import ALL_CHANNELS, Frame, Recorder, recording

PRODUCTS = [product.id for product in DEFAULT_PRODUCTS]


def acks(frames: list[Frame]) -> list[Frame]:
    return [f["events"][0]["subscriptions"] for f in frames if f.get("channel") == "subscriptions"]


def errors(frames: list[Frame]) -> list[str]:
    return [frame["message"] for frame in frames if frame.get("type") == "error"]


def has(channel: str, kind: str, count: int = 1) -> Callable[[list[Frame]], bool]:
    return lambda frames: (
        sum(
            frame.get("channel") == channel and event.get("type") == kind
            for frame in frames
            for event in frame.get("events", ())
        )
        >= count
    )


def test_all_channels_share_one_sequence_from_zero_without_a_hole() -> None:
    async def scenario() -> Recorder:
        async with (
            SimulatedExchange(rate=500, heartbeat_interval=0.1, batch_interval=0.3) as exchange,
            recording(exchange.url) as client,
        ):
            for channel in ALL_CHANNELS:
                await client.subscribe(channel, *PRODUCTS)
            await client.until(has("ticker_batch", "update"))
            await client.until(lambda frames: len(frames) > 1000)
            return client

    client = asyncio.run(scenario())
    assert [frame["sequence_num"] for frame in client.frames] == list(range(len(client.frames)))
    seen = {frame["channel"] for frame in client.frames}
    assert seen == {
        *("l2_data", "market_trades", "ticker", "ticker_batch", "candles", "status"),
        *("heartbeats", "subscriptions"),
    }
    for channel in ("l2_data", "market_trades", "ticker", "ticker_batch", "candles", "status"):
        assert client.of(channel, "snapshot"), channel
    for channel in ("l2_data", "market_trades", "ticker", "candles"):
        assert client.of(channel, "update"), channel
    batch = client.of("ticker_batch", "update")[0]["tickers"]
    assert len(batch) == len(PRODUCTS)
    assert "best_bid" not in batch[0]
    assert "best_bid" in client.of("ticker")[0]["tickers"][0]
    # Several products share a frame at times.
    assert any(len(f["events"]) > 1 for f in client.frames if f["channel"] == "l2_data")
    assert "client_id" not in client.frames[0]


def test_acknowledgements_come_late_carry_the_whole_map_and_name_channels_as_asked() -> None:
    async def scenario() -> Recorder:
        async with (
            SimulatedExchange(rate=500) as exchange,
            recording(exchange.url) as client,
        ):
            await client.subscribe("level2", "BTC-USD", "ETH-USD")
            await client.subscribe("ticker", "BTC-USD", jwt="no.such.token")
            await client.subscribe("heartbeats")
            await client.until(lambda frames: len(acks(frames)) >= 3)
            return client

    client = asyncio.run(scenario())
    assert client.frames[0]["channel"] == "l2_data"
    assert acks(client.frames)[-1] == {
        "level2": ["BTC-USD", "ETH-USD"],
        "ticker": ["BTC-USD"],
        "heartbeats": ["heartbeats"],
    }


def test_acknowledgements_differ_in_how_late_they_come_but_not_for_the_same_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fluxforge.sim.session.LATEST_ACK", 60.0)

    async def positions(seed: int) -> list[int]:
        # No market to speak of: the frames between are snapshots, the same in each run.
        async with (
            SimulatedExchange(rate=0.001, seed=seed) as exchange,
            recording(exchange.url) as client,
        ):
            for product in PRODUCTS:
                await client.subscribe("ticker", product)
            await client.until(has("ticker", "snapshot", len(PRODUCTS)))
            return [n for n, f in enumerate(client.frames) if f["channel"] == "subscriptions"]

    first, again, other = (asyncio.run(positions(seed)) for seed in (1, 1, 2))
    assert first == again != other
    # Not each right behind its snapshot.
    assert len(first) < len(PRODUCTS)


def test_subscribing_again_gives_no_snapshot_but_unsubscribing_first_does() -> None:
    async def scenario() -> None:
        async with (
            SimulatedExchange(rate=200, products=choose_products(2)) as exchange,
            recording(exchange.url) as client,
        ):
            await client.subscribe("level2", "BTC-USD")
            await client.until(acks)
            await client.subscribe("level2", "BTC-USD")
            await client.until(lambda frames: len(acks(frames)) == 2)
            assert len(client.of("l2_data", "snapshot")) == 1
            await client.say("unsubscribe", "level2", "BTC-USD")
            await client.until(lambda frames: len(acks(frames)) == 3)
            assert acks(client.frames)[-1] == {}
            quiet = len(client.of("l2_data"))
            await asyncio.sleep(0.2)
            assert len(client.of("l2_data")) == quiet
            await client.subscribe("level2", "BTC-USD")
            await client.until(has("l2_data", "snapshot", 2))
            await client.until(has("l2_data", "update", quiet + 5))

    asyncio.run(scenario())


def test_more_than_thirty_level2_products_are_refused_and_the_earlier_ones_go_on() -> None:
    products = choose_products(40)
    names = [product.id for product in products]

    async def scenario() -> None:
        async with (
            SimulatedExchange(rate=500, products=products) as exchange,
            recording(exchange.url) as client,
        ):
            await client.subscribe("level2", *names[:30])
            await client.until(acks)
            await client.subscribe("level2", names[30])
            await client.until(errors)
            assert errors(client.frames) == ["too many L2 streams requested in a single session"]
            assert {"type", "message"} == set(next(f for f in client.frames if "type" in f))
            updates = len(client.of("l2_data", "update"))
            await client.until(has("l2_data", "update", updates + 100))
            assert names[30] not in {event["product_id"] for event in client.of("l2_data")}
            # Other channels know no such limit.
            await client.subscribe("ticker", *names)
            await client.until(has("ticker", "snapshot", 40))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ({"type": "subscribe", "channel": "user"}, "authentication failure"),
        ({"type": "subscribe", "channel": "l2_data"}, "authentication failure"),
        ({"type": "subscribe", "channel": ["level2", "ticker"]}, "one channel per message"),
        ({"type": "subscribe", "channels": ["level2"]}, "one channel per message"),
        ({"type": "subscribe", "channel": "level2", "product_ids": "BTC-USD"}, "product_ids"),
        ({"type": "hello"}, "failed to parse"),
        ([1], "failed to parse"),
    ],
)
def test_nonsense_is_answered_by_an_error_frame_without_a_number(
    message: object, answer: str
) -> None:
    async def scenario() -> None:
        async with (
            SimulatedExchange(heartbeat_interval=0.05) as exchange,
            recording(exchange.url) as client,
        ):
            await client.socket.send(json.dumps(message))
            await client.until(errors)
            assert errors(client.frames)[0].startswith(answer)
            # The socket stays, and errors take no sequence number.
            await client.subscribe("heartbeats")
            await client.until(lambda frames: len(frames) >= 3)
            assert [f.get("sequence_num") for f in client.frames[:3]] == [None, 0, 1]

    asyncio.run(scenario())


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, b"\xff\xfe", "null"])
def test_bytes_that_are_no_json_do_no_harm(text: str | bytes) -> None:
    async def scenario() -> None:
        async with SimulatedExchange() as exchange, recording(exchange.url) as client:
            await client.socket.send(text)
            await client.until(errors)

    asyncio.run(scenario())


def test_an_unknown_product_shows_only_by_its_absence() -> None:
    async def scenario() -> Recorder:
        async with SimulatedExchange(rate=100) as exchange, recording(exchange.url) as client:
            await client.subscribe("level2", "NOPE-USD")
            await client.subscribe("level2", "BTC-USD", "../../x")
            await client.until(lambda frames: len(acks(frames)) == 2)
            return client

    client = asyncio.run(scenario())
    assert errors(client.frames) == []
    assert acks(client.frames)[-1] == {"level2": ["BTC-USD"]}


def test_usdc_names_deliver_the_usd_book_but_for_the_real_ones() -> None:
    async def scenario() -> Recorder:
        async with SimulatedExchange(rate=100) as exchange, recording(exchange.url) as client:
            await client.subscribe("level2", "ETH-USDC", "USDT-USDC")
            await client.until(has("l2_data", "snapshot", 2))
            return client

    client = asyncio.run(scenario())
    assert [event["product_id"] for event in client.of("l2_data", "snapshot")] == [
        "ETH-USD",
        "USDT-USDC",
    ]


def test_heartbeats_count_for_the_server_and_tell_the_time_as_go_does() -> None:
    async def scenario() -> tuple[Recorder, Recorder]:
        async with (
            SimulatedExchange(heartbeat_interval=0.1) as exchange,
            recording(exchange.url) as first,
            recording(exchange.url) as second,
        ):
            await first.subscribe("heartbeats")
            await first.until(lambda frames: len(frames) > 3)
            await second.subscribe("heartbeats")
            await second.until(lambda frames: len(frames) > 5)
            return first, second

    first, second = asyncio.run(scenario())
    counters = [event["heartbeat_counter"] for event in second.of("heartbeats")]
    assert counters[0] > 1
    assert all(later == earlier + 1 for earlier, later in itertools.pairwise(counters))
    assert set(counters) <= {event["heartbeat_counter"] for event in first.of("heartbeats")}
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,9})? \+0000 UTC m=\+\d+(\.\d{1,9})?",
        first.of("heartbeats")[0]["current_time"],
    )


def test_a_trades_snapshot_is_newest_first_and_overlaps_what_came_before() -> None:
    async def scenario() -> Recorder:
        async with (
            SimulatedExchange(rate=500, products=choose_products(1)) as exchange,
            recording(exchange.url) as client,
        ):
            await client.subscribe("market_trades", "BTC-USD")
            await client.until(has("market_trades", "update", 10))
            await client.say("unsubscribe", "market_trades", "BTC-USD")
            await client.subscribe("market_trades", "BTC-USD")
            await client.until(has("market_trades", "snapshot", 2))
            return client

    client = asyncio.run(scenario())
    snapshot = [int(t["trade_id"]) for t in client.of("market_trades", "snapshot")[1]["trades"]]
    assert snapshot == sorted(snapshot, reverse=True)
    before = {
        int(t["trade_id"]) for e in client.of("market_trades", "update")[:10] for t in e["trades"]
    }
    assert before & set(snapshot)


def closes(journal: Path) -> list[tuple[str, bool]]:
    return [
        (record.detail["reason"], record.detail["clean"])
        for record in read_journal(journal)
        if isinstance(record, JournalEvent) and record.event == "close"
    ]


def test_who_does_not_subscribe_in_time_is_disconnected(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            SimulatedExchange(
                rules=Rules(subscribe_timeout=1.0), journal=tmp_path / "j", heartbeat_interval=0.1
            ) as exchange,
            recording(exchange.url) as silent,
            recording(exchange.url) as prompt,
        ):
            await prompt.subscribe("heartbeats")
            await asyncio.wait_for(silent.task, 10)
            count = len(prompt.frames)
            await prompt.until(lambda frames: len(frames) > count + 5)

    asyncio.run(scenario())
    assert ("no subscribe message in time", True) in closes(tmp_path / "j")
    assert ("client closed", True) in closes(tmp_path / "j")


def test_an_idle_connection_is_closed_and_heartbeats_keep_one_alive(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            SimulatedExchange(
                rate=0.001,
                rules=Rules(idle_timeout=(0.3, 0.5)),
                heartbeat_interval=0.1,
                journal=tmp_path / "j",
            ) as exchange,
            recording(exchange.url) as idle,
            recording(exchange.url) as beating,
        ):
            await idle.subscribe("level2", "BTC-USD")
            await beating.subscribe("level2", "BTC-USD")
            await beating.subscribe("heartbeats")
            await asyncio.wait_for(idle.task, 5)
            await asyncio.sleep(0.6)
            assert beating.closed is None

    asyncio.run(scenario())
    assert closes(tmp_path / "j") == [("idle", True), ("client closed", True)]


def test_the_limits_on_messages_and_connections_can_be_switched_on() -> None:
    async def scenario() -> None:
        rules = Rules(messages_per_second=8, connections_per_second=2)
        async with (
            SimulatedExchange(rules=rules) as exchange,
            recording(exchange.url) as client,
            recording(exchange.url),
        ):
            for product in PRODUCTS[:9]:
                await client.subscribe("level2", product)
            await client.until(errors)
            assert errors(client.frames) == ["rate limit exceeded"]
            with pytest.raises(InvalidStatus, match="429"):
                await connect(exchange.url)

    asyncio.run(scenario())


@pytest.mark.parametrize("rate", [50.0, 2000.0])
def test_the_rate_is_not_exceeded(rate: float) -> None:
    async def scenario() -> float:
        async with SimulatedExchange(rate=rate) as exchange, recording(exchange.url) as client:
            await client.subscribe("level2", *PRODUCTS)
            await client.until(has("l2_data", "update"))
            begun, steps = time.monotonic(), exchange.market.steps
            await asyncio.sleep(1)
            return (exchange.market.steps - steps) / (time.monotonic() - begun)

    # How exactly it is kept is for the pacer's own tests, which hand in the clock.
    assert 0 < asyncio.run(scenario()) <= 1.3 * rate


def test_the_market_stands_still_while_nobody_looks() -> None:
    async def scenario() -> None:
        async with SimulatedExchange(rate=0) as exchange, recording(exchange.url) as client:
            await client.subscribe("heartbeats")
            await client.until(acks)
            steps = exchange.market.steps
            await asyncio.sleep(0.1)
            assert exchange.market.steps == steps

    asyncio.run(scenario())


def test_two_clients_see_the_same_market() -> None:
    async def scenario() -> None:
        async with (
            SimulatedExchange(rate=500, products=choose_products(1)) as exchange,
            recording(exchange.url) as first,
            recording(exchange.url) as second,
        ):
            for client in (first, second):
                await client.subscribe("market_trades", "BTC-USD")
            for client in (first, second):
                await client.until(has("market_trades", "update", 50))
            common = {
                trade["trade_id"]: trade
                for event in first.of("market_trades")
                for trade in event["trades"]
            }
            matched = 0
            for event in second.of("market_trades", "update"):
                for trade in event["trades"]:
                    if trade["trade_id"] in common:
                        matched += 1
                        assert trade == common[trade["trade_id"]]
            assert matched > 20

    asyncio.run(scenario())

"""Nothing comes: on a channel, or on a socket whose TCP stays."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from fluxforge.sim import JournalEvent, SimulatedExchange, read_journal
from fluxforge.sim.faults import HalfOpen, IdleChannel
from sim.misbehaving import capture, events, frames, numbers, sent, withheld
from sim.recorder import Recorder, recording


def test_an_idle_channel_is_acknowledged_and_says_nothing_and_uses_no_number(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "sent.ndjson"
    client = capture(
        journal,
        IdleChannel(channel="level2"),
        IdleChannel(channel="ticker", product="BTC-USD"),
        until=lambda received: len(received) > 300,
    )
    channels = Counter(frame["channel"] for frame in client.frames)
    assert channels["l2_data"] == 0
    assert channels["market_trades"] > 50
    assert {t["product_id"] for event in client.of("ticker") for t in event["tickers"]} == {
        "ETH-USD",
        "SOL-USD",
    }
    (last,) = client.of("subscriptions")[-1:]
    assert last["subscriptions"]["level2"] == ["BTC-USD", "ETH-USD", "SOL-USD"]
    assert numbers(client.texts) == list(range(len(client.texts)))
    assert not withheld(journal)
    assert {"channel": "level2", "product_ids": None} in events(journal, "idle_channel")
    assert {"channel": "ticker", "product_ids": ["BTC-USD"]} in events(journal, "idle_channel")


def test_a_channel_falls_silent_and_comes_back() -> None:
    async def scenario() -> None:
        async with (
            SimulatedExchange(rate=200, heartbeat_interval=0.02) as exchange,
            recording(exchange.url) as client,
        ):
            for channel in ("heartbeats", "level2"):
                await client.subscribe(channel, "BTC-USD")
            await client.until(lambda _: len(client.of("heartbeats")) > 3)
            which = exchange.misbehave(IdleChannel(channel="heartbeats"))
            count, books = len(client.of("heartbeats")), len(client.of("l2_data"))
            await client.until(lambda _: len(client.of("l2_data")) > books + 50)
            # One may have been on its way.
            assert len(client.of("heartbeats")) <= count + 1
            exchange.behave(which)
            count = len(client.of("heartbeats"))
            await client.until(lambda _: len(client.of("heartbeats")) > count + 3)

    asyncio.run(scenario())


def test_a_half_open_socket_says_nothing_any_more_and_the_journal_has_what_it_would_have_said(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> list[str]:
        texts = []
        async with SimulatedExchange(
            rate=2000, journal=journal, faults=[HalfOpen(after_frames=100)]
        ) as exchange:
            socket = await connect(exchange.url, compression=None, max_size=None, close_timeout=0.2)
            await socket.send('{"type":"subscribe","channel":"level2","product_ids":["BTC-USD"]}')
            texts = [await socket.recv() for _ in range(100)]
            while not exchange.sessions[0].outbound.silent:  # noqa: ASYNC110 (as below)
                await asyncio.sleep(0.001)
            pong = await socket.ping()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.3)
            assert not pong.done()
            assert socket.transport is not None
            assert not socket.transport.is_closing(), "TCP stays"
            # No Close is answered either; the client must give up by itself.
            await socket.close()
            while exchange.sessions:  # noqa: ASYNC110 (the exchange announces nothing)
                await asyncio.sleep(0.02)
        return texts

    texts = asyncio.run(scenario())
    assert texts == sent(journal)
    never_came = withheld(journal)
    assert {line.why for line in never_came} == {"half-open"}
    assert numbers(line.withheld for line in never_came)[:50] == list(range(100, 150))
    (close,) = events(journal, "close")
    assert close["reason"] == "connection lost"
    assert not close["clean"]
    # What would have come after the silence began stands behind the note in the journal.
    order = [
        line.event if isinstance(line, JournalEvent) else type(line).__name__
        for line in read_journal(journal)
        if line.conn == 1
    ]
    assert order.index("half_open") == order.index("JournalWithheld") - 1


def test_a_half_open_socket_may_be_reset_in_the_end(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> Recorder:
        fault = HalfOpen(after_frames=10, reset_after=0.2)
        async with SimulatedExchange(rate=500, journal=journal, faults=[fault]) as exchange:
            client = Recorder(await connect(exchange.url, compression=None))
            await client.subscribe("level2", "BTC-USD")
            await client.task
        return client

    client = asyncio.run(scenario())
    assert client.texts == sent(journal)
    assert len(client.texts) == 10
    assert client.closed is not None
    assert client.closed.rcvd is None


def test_a_half_open_socket_does_not_hold_up_the_stop_nor_the_others(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> None:
        fault = HalfOpen(after_frames=10, connections=1)
        async with SimulatedExchange(rate=500, journal=journal, faults=[fault]) as exchange:
            dead = Recorder(await connect(exchange.url, compression=None, close_timeout=0.1))
            await dead.subscribe("level2", "BTC-USD")
            await dead.until(frames(10))
            async with recording(exchange.url) as client:
                await client.subscribe("level2", "BTC-USD")
                await client.until(frames(100))
        await dead.task

    asyncio.run(asyncio.wait_for(scenario(), 8))
    assert len(sent(journal, 1)) == 10
    assert events(journal, "close")[0]["reason"] == "exchange stopped"

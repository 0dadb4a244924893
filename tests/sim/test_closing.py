"""A client that reads to the end has what is journaled; a slow one costs bounded memory."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from fluxforge.sim import (
    DEFAULT_PRODUCTS,
    JournalEvent,
    JournalFrame,
    Rules,
    SimulatedExchange,
    choose_products,
    read_journal,
)
from sim.recorder import ALL_CHANNELS, Recorder, recording

PRODUCTS = [product.id for product in DEFAULT_PRODUCTS]


def journaled(path: Path, conn: int) -> list[str]:
    return [
        record.frame
        for record in read_journal(path)
        if isinstance(record, JournalFrame) and record.conn == conn
    ]


def close_of(path: Path, conn: int) -> JournalEvent:
    (event,) = [
        record
        for record in read_journal(path)
        if isinstance(record, JournalEvent) and (record.conn, record.event) == (conn, "close")
    ]
    return event


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (the exchange announces nothing to its tests)
        await asyncio.sleep(0.02)


async def subscribe_all(client: Recorder) -> None:
    for channel in ALL_CHANNELS:
        await client.subscribe(channel, *PRODUCTS)


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("rate", [300, 0])
def test_a_client_that_closes_while_it_goes_on_reading_has_exactly_what_was_journaled(
    tmp_path: Path, rate: float, compression: str | None
) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> list[Recorder]:
        clients = []
        async with SimulatedExchange(
            rate=rate, journal=journal, compression=compression is not None
        ) as exchange:
            for _ in range(5):
                async with recording(exchange.url, compression=compression) as client:
                    clients.append(client)
                    await subscribe_all(client)
                    await client.until(lambda frames: len(frames) > 300)
                    # Leaving this block closes in the middle of the stream.
        return clients

    for number, client in enumerate(asyncio.run(scenario()), start=1):
        assert client.texts == journaled(journal, number)
        close = close_of(journal, number)
        assert close.detail == {
            "reason": "client closed",
            "code": 1000,
            "clean": True,
            "frames": len(client.texts),
        }


def test_when_the_exchange_stops_every_reading_client_has_what_was_journaled(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> Recorder:
        exchange = SimulatedExchange(rate=0, journal=journal)
        async with exchange:
            client = Recorder(await connect(exchange.url, compression=None, max_size=None))
            await subscribe_all(client)
            await client.until(lambda frames: len(frames) > 3000)
        await client.task
        return client

    client = asyncio.run(scenario())
    assert client.texts == journaled(journal, 1)
    assert close_of(journal, 1).detail["reason"] == "exchange stopped"


def test_a_slow_client_is_waited_for_and_loses_nothing(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> list[str | bytes]:
        texts: list[str | bytes] = []
        async with (
            SimulatedExchange(rate=0, journal=journal, snapshot_levels=4000) as exchange,
            connect(
                exchange.url, compression=None, max_size=None, max_queue=4, close_timeout=30
            ) as socket,
        ):
            await socket.send(
                json.dumps({"type": "subscribe", "channel": "level2", "product_ids": PRODUCTS})
            )
            steps = []
            for _ in range(40):
                texts.append(await socket.recv())
                await asyncio.sleep(0.02)
                steps.append(exchange.market.steps)
            # The market came to a stand behind the full sockets, though its rate is boundless.
            assert steps[-1] == steps[-5]
            (session,) = exchange.sessions
            assert session.outbound.blocked
            assert session.outbound.buffered_bytes < 2_000_000

            closing = asyncio.create_task(socket.close())
            texts.extend([text async for text in socket])
            await closing
        return texts

    texts = asyncio.run(scenario())
    assert texts == journaled(journal, 1)
    assert len(texts) > 40


def test_a_boundless_market_starves_neither_heartbeats_nor_new_subscriptions() -> None:
    async def scenario() -> list[dict[str, Any]]:
        async with (
            SimulatedExchange(rate=0, heartbeat_interval=0.1) as exchange,
            connect(exchange.url, compression=None, max_queue=4, close_timeout=30) as socket,
        ):
            texts: list[str | bytes] = []
            for channel, frames in (("heartbeats", 2), ("level2", 2000), ("status", 500)):
                await socket.send(
                    json.dumps({"type": "subscribe", "channel": channel, "product_ids": PRODUCTS})
                )
                for _ in range(frames):
                    texts.append(await socket.recv())
                    await asyncio.sleep(0.0005)  # always slower than the market
            # What lies in the sockets' buffers comes first, megabytes of it.
            while len(texts) < 40_000 and '"channel":"status"' not in str(texts[-1]):
                texts.append(await socket.recv())
            closing = asyncio.create_task(socket.close())
            texts.extend([text async for text in socket])
            await closing
            return [json.loads(text) for text in texts]

    frames = asyncio.run(scenario())
    assert "status" in {frame["channel"] for frame in frames}
    beats = [
        frame["events"][0]["heartbeat_counter"]
        for frame in frames
        if frame["channel"] == "heartbeats"
    ]
    assert len(beats) > 10
    assert beats == list(range(beats[0], beats[-1] + 1))


def test_who_does_not_read_at_all_is_cut_off_and_the_others_go_on(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> None:
        rules = Rules(slow_client_timeout=1.5)
        async with SimulatedExchange(rate=0, journal=journal, rules=rules) as exchange:
            reader, writer = await asyncio.open_connection(exchange.host, exchange.port)
            try:
                await handshake(reader, writer)
                async with recording(exchange.url) as client:
                    await subscribe_all(client)
                    await until(lambda: len(exchange.sessions) == 1)
                    count = len(client.frames)
                    await client.until(lambda frames: len(frames) > count + 1000)
            finally:
                writer.transport.abort()

    asyncio.run(asyncio.wait_for(scenario(), 30))
    assert close_of(journal, 1).detail["reason"] == "client too slow"
    assert close_of(journal, 1).detail["clean"] is False


def test_a_client_that_does_not_read_cannot_hold_up_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fluxforge.sim.exchange.STOP_TIMEOUT", 0.5)
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> None:
        async with SimulatedExchange(rate=0, journal=journal) as exchange:
            reader, writer = await asyncio.open_connection(exchange.host, exchange.port)
            await handshake(reader, writer)
            await until(lambda: any(session.outbound.blocked for session in exchange.sessions))
        writer.transport.abort()

    asyncio.run(asyncio.wait_for(scenario(), 10))
    assert close_of(journal, 1).detail["reason"] == "exchange stopped"
    assert close_of(journal, 1).detail["clean"] is False


async def handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Open a websocket by hand, subscribe to everything there is, and never read again."""
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    text = json.dumps({"type": "subscribe", "channel": "level2", "product_ids": PRODUCTS[:5]})
    payload = text.encode()
    # Masked, as a client must, by a mask of zeros; the length in two bytes.
    head = b"\x81\xfe" + len(payload).to_bytes(2, "big") + b"\0\0\0\0"
    writer.write(head + payload)
    writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket's can, says asyncio


def test_snapshots_as_large_as_the_live_ones_arrive_whole() -> None:
    async def scenario() -> Recorder:
        products = choose_products(2)
        async with (
            SimulatedExchange(rate=50, products=products, snapshot_levels=44_000) as exchange,
            recording(exchange.url, max_size=64 << 20) as client,
        ):
            await client.subscribe("level2", *(product.id for product in products))
            await client.until(lambda frames: len(frames) > 10)
            return client

    client = asyncio.run(scenario())
    sizes = [len(event["updates"]) for event in client.of("l2_data", "snapshot")]
    assert sizes == [pytest.approx(44_000, rel=0.02), pytest.approx(22_000, rel=0.02)]


def test_a_client_that_dies_is_journaled_as_lost(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> None:
        async with SimulatedExchange(rate=100, journal=journal) as exchange:
            socket = await connect(exchange.url)
            await socket.send('{"type":"subscribe","channel":"heartbeats"}')
            await socket.recv()
            socket.transport.abort()
            await until(lambda: not exchange.sessions)

    asyncio.run(scenario())
    assert close_of(journal, 1).detail["reason"] == "connection lost"
    assert close_of(journal, 1).detail["clean"] is False

"""Slow handshakes, refused ones, connections that end, a market in a hurry."""

import asyncio
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from fluxforge.sim import SimulatedExchange
from fluxforge.sim.faults import Burst, Disconnect, RefuseConnections, SlowAccept
from sim.misbehaving import events, frames, numbers, sent
from sim.recorder import Recorder, recording


def test_a_handshake_waits_for_its_answer(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> float:
        faults = [SlowAccept(delay=0.4)]
        async with SimulatedExchange(journal=journal, faults=faults) as exchange:
            with pytest.raises(TimeoutError):
                await connect(exchange.url, open_timeout=0.1)
            begun = time.monotonic()
            async with recording(exchange.url):
                return time.monotonic() - begun

    assert asyncio.run(scenario()) >= 0.4
    assert events(journal, "handshake_delayed", conn=0) == [{"delay": 0.4}] * 2


def test_a_handshake_that_waits_does_not_hold_up_the_stop() -> None:
    async def scenario() -> None:
        async with SimulatedExchange(faults=[SlowAccept(delay=3600)]) as exchange:
            with pytest.raises(TimeoutError):
                await connect(exchange.url, open_timeout=0.1)

    asyncio.run(asyncio.wait_for(scenario(), 8))


def test_connections_are_refused_for_a_while(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> None:
        async with SimulatedExchange(journal=journal) as exchange:
            which = exchange.misbehave(RefuseConnections(status=503))
            with pytest.raises(InvalidStatus) as refused:
                await connect(exchange.url)
            assert refused.value.response.status_code == 503
            exchange.behave(which)
            async with connect(exchange.url):
                pass

    asyncio.run(scenario())
    assert events(journal, "connection_refused", conn=0) == [{"status": 503}]


@pytest.mark.parametrize(
    ("how", "code", "clean"), [("close", 1012, True), ("drop", 1006, False), ("reset", 1006, False)]
)
def test_a_connection_ends_after_exactly_so_many_frames(
    tmp_path: Path, how: str, code: int, *, clean: bool
) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> Recorder:
        fault = {"fault": "disconnect", "how": how, "after_frames": 50, "connections": 1}
        async with SimulatedExchange(rate=500, journal=journal, faults=[fault]) as exchange:
            client = Recorder(await connect(exchange.url, compression=None))
            await client.subscribe("level2", "BTC-USD", "ETH-USD")
            await client.task
            async with recording(exchange.url) as again:
                await again.subscribe("level2", "BTC-USD")
                await again.until(frames(60))
        return client

    client = asyncio.run(scenario())
    (close,) = events(journal, "close")
    assert close["reason"] == f"fault: {how}"
    assert close["clean"] is clean
    assert client.closed is not None
    assert (client.closed.rcvd.code if client.closed.rcvd else 1006) == code
    assert numbers(sent(journal)) == list(range(50))
    if how == "reset":
        # What was on its way may be lost; nothing came that was not sent.
        assert client.texts == sent(journal)[: len(client.texts)]
    else:
        assert client.texts == sent(journal)
    assert close["frames"] == 50


def test_in_a_storm_everyone_is_cut_again_and_again_and_may_come_back(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"

    async def client(url: str) -> int:
        """Come back each time; return how often one was cut."""
        cuts = 0
        while True:
            recorder = Recorder(await connect(url, compression=None))
            await recorder.subscribe("level2", "BTC-USD")
            try:
                await recorder.until(frames(1))
                await asyncio.wait_for(asyncio.shield(recorder.task), 1.5)
            except TimeoutError:
                await recorder.close()
                return cuts
            cuts += 1

    async def scenario() -> list[int]:
        async with SimulatedExchange(rate=200, journal=journal) as exchange:
            clients = [asyncio.create_task(client(exchange.url)) for _ in range(3)]
            while len(exchange.sessions) < 3:  # noqa: ASYNC110 (the exchange announces nothing)
                await asyncio.sleep(0.02)
            exchange.misbehave(Disconnect(at=0.1, every=0.5, times=3))
            return await asyncio.gather(*clients)

    cuts = asyncio.run(scenario())
    assert all(1 <= each <= 3 for each in cuts)
    reasons = [
        each["reason"] for conn in range(1, 13) for each in events(journal, "close", conn=conn)
    ]
    assert reasons.count("fault: close") == sum(cuts)


def test_the_market_moves_faster_for_a_while(tmp_path: Path) -> None:
    async def scenario() -> tuple[int, int]:
        async with (
            SimulatedExchange(rate=1, journal=tmp_path / "sent.ndjson") as exchange,
            recording(exchange.url) as client,
        ):
            await client.subscribe("level2", "BTC-USD", "ETH-USD")
            await client.until(frames(2))
            before = exchange.market.steps
            which = exchange.misbehave(Burst(rate=0))
            await client.until(frames(2000))
            exchange.behave(which)
            during = exchange.market.steps - before
            await asyncio.sleep(0.1)
            calm = exchange.market.steps
            await asyncio.sleep(0.5)
            return during, exchange.market.steps - calm

    during, afterwards = asyncio.run(scenario())
    assert during > 500
    assert afterwards <= 2, "and at its own pace again"

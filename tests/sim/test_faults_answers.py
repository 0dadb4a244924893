"""Subscriptions answered late, never, by an error, or by silence."""

import asyncio
from pathlib import Path

from fluxforge.sim import SimulatedExchange
from fluxforge.sim.faults import ErrorFrame, LateAck, LimitLevel2, Refuse
from sim.misbehaving import capture, events, frames, numbers, sent
from sim.recorder import Frame, Recorder, recording

TOO_MANY = "too many L2 streams requested in a single session"


def acks(received: list[Frame]) -> list[dict]:
    return [
        f["events"][0]["subscriptions"] for f in received if f.get("channel") == "subscriptions"
    ]


def errors(received: list[Frame]) -> list[str]:
    return [frame["message"] for frame in received if frame.get("type") == "error"]


def products(client: Recorder, channel: str, rows: str | None = None) -> set[str]:
    found = client.of(channel)
    return {row["product_id"] for each in found for row in (each[rows] if rows else [each])}


def test_an_acknowledgement_comes_late_and_data_comes_before_it(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"
    client = capture(journal, LateAck(delay=0.5), until=acks, rate=500, channels=["level2"])
    first = next(n for n, f in enumerate(client.frames) if f["channel"] == "subscriptions")
    assert first > 16, "as late as the venue ever is, and then some"
    assert events(journal, "ack_delayed") == [{"channel": "level2", "delay": 0.5}]


def test_an_acknowledgement_never_comes_although_data_does(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"
    client = capture(journal, LateAck(delay="never"), until=frames(200))
    assert not acks(client.frames)
    assert client.texts == sent(journal)
    assert [note["channel"] for note in events(journal, "ack_delayed")] == [
        "heartbeats",
        "level2",
        "market_trades",
        "ticker",
    ]


def test_a_product_is_refused_by_silence(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"
    client = capture(
        journal,
        Refuse(product="ETH-USD", channel="level2"),
        until=lambda received: len(received) > 300 and len(acks(received)) == 4,
    )
    assert products(client, "l2_data") == {"BTC-USD", "SOL-USD"}
    assert products(client, "ticker", "tickers") == {"BTC-USD", "ETH-USD", "SOL-USD"}
    assert acks(client.frames)[-1]["level2"] == ["BTC-USD", "SOL-USD"]
    assert not errors(client.frames)
    assert events(journal, "refused") == [{"channel": "level2", "product_ids": ["ETH-USD"]}]


def test_a_channel_is_refused_by_an_error_frame_and_the_others_go_on(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"
    client = capture(
        journal,
        Refuse(channel="level2", message="authentication failure"),
        until=lambda received: len(received) > 100 and len(acks(received)) == 3,
    )
    assert errors(client.frames) == ["authentication failure"]
    assert not client.of("l2_data")
    assert "level2" not in acks(client.frames)[-1]
    assert client.texts == sent(journal)


def test_a_product_that_was_refused_for_a_while_can_be_had_afterwards(tmp_path: Path) -> None:
    async def scenario() -> Recorder:
        async with (
            SimulatedExchange(rate=100, journal=tmp_path / "sent.ndjson") as exchange,
            recording(exchange.url) as client,
        ):
            which = exchange.misbehave(Refuse(product="ETH-USD"))
            await client.subscribe("level2", "ETH-USD")
            await client.until(acks)
            exchange.behave(which)
            await client.subscribe("level2", "ETH-USD")
            await client.until(lambda _: client.of("l2_data", "snapshot"))
            return client

    client = asyncio.run(scenario())
    assert acks(client.frames)[0] == {}


def test_too_many_level2_products_are_fewer_than_by_the_rules(tmp_path: Path) -> None:
    async def scenario() -> Recorder:
        faults = [LimitLevel2(products=2)]
        async with (
            SimulatedExchange(rate=100, journal=tmp_path / "j", faults=faults) as exchange,
            recording(exchange.url) as client,
        ):
            await client.subscribe("level2", "BTC-USD", "ETH-USD")
            await client.subscribe("level2", "SOL-USD")
            await client.until(lambda received: errors(received) and len(received) > 50)
            return client

    client = asyncio.run(scenario())
    assert errors(client.frames) == [TOO_MANY]
    assert products(client, "l2_data") == {"BTC-USD", "ETH-USD"}


def test_error_frames_come_unasked_and_use_no_number(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"
    faults = (
        ErrorFrame(after_frames=10, message='odd "words"\n'),
        ErrorFrame(after_frames=20, every=0.05, times=3),
    )
    client = capture(journal, *faults, until=lambda received: len(errors(received)) == 4, rate=1000)
    assert client.frames[10] == {"type": "error", "message": 'odd "words"\n'}
    assert errors(client.frames)[1:] == ["internal error"] * 3
    assert client.texts == sent(journal)
    assert numbers(client.texts) == list(range(len(client.texts) - 4))
    assert len(events(journal, "error")) == 4

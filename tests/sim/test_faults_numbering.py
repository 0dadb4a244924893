"""Frames that never come or come twice, numbers that begin again; as a plain client sees them."""

import asyncio
import json
from itertools import groupby
from pathlib import Path

import pytest

from fluxforge.sim import SimulatedExchange
from fluxforge.sim.faults import Lose, Repeat, Restart
from sim.misbehaving import capture, events, frames, numbers, sent, withheld
from sim.recorder import recording


def test_lost_frames_are_exactly_those_that_were_asked_for(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"
    client = capture(
        journal,
        Lose(after_frames=50, frames=3),
        Lose(after_frames=100, frames=2, channel="level2", product="ETH-USD"),
        until=frames(400),
    )
    assert client.texts == sent(journal)
    lost = withheld(journal)
    assert numbers(line.withheld for line in lost)[:3] == [50, 51, 52]
    (fourth, fifth) = (json.loads(line.withheld) for line in lost[3:])
    for frame in (fourth, fifth):
        assert frame["sequence_num"] >= 100
        assert frame["channel"] == "l2_data"
        assert "ETH-USD" in [event["product_id"] for event in frame["events"]]
    assert {line.why for line in lost} == {"lost"}
    seen = numbers(client.texts)
    assert sorted(seen + numbers(line.withheld for line in lost)) == list(range(seen[-1] + 1))


def test_a_repeated_frame_comes_again_number_and_all(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"
    client = capture(
        journal,
        Repeat(after_frames=20, frames=1),
        Repeat(after_frames=40, frames=1, copies=2),
        until=frames(200),
    )
    assert client.texts == sent(journal)
    times = {number: len(list(same)) for number, same in groupby(numbers(client.texts))}
    assert {number: n for number, n in times.items() if n > 1} == {20: 2, 40: 3}
    assert client.texts[20] == client.texts[21]
    assert events(journal, "repeated") == [
        {"sequence_num": 20, "copies": 1},
        {"sequence_num": 40, "copies": 2},
    ]


def test_numbers_begin_again_in_the_middle_of_a_connection(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"
    client = capture(journal, Restart(after_frames=30), until=frames(200))
    assert client.texts == sent(journal)
    seen = numbers(client.texts)
    assert seen == [*range(30), *range(len(seen) - 30)]
    assert events(journal, "restart") == [{"expected": 30, "seen": 0}]


def test_faults_meet_a_lost_frame_is_not_repeated_and_a_restart_loses_nothing(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "sent.ndjson"
    faults = (Repeat(share=0.2), Lose(share=0.2), Restart(after_frames=60))
    client = capture(journal, *faults, until=frames(300))
    assert client.texts == sent(journal)
    (restart,) = events(journal, "restart")
    assert restart == {"expected": 60, "seen": 0}
    # Every number was used up: by what came, once or more, or by what was withheld.
    seen, lost = numbers(client.texts), numbers(line.withheld for line in withheld(journal))
    assert set(range(60)) <= {*seen, *lost}
    assert events(journal, "repeated")


def test_the_same_seed_hits_the_same_frames_and_another_one_others(tmp_path: Path) -> None:
    def lost(seed: int) -> list[int]:
        journal = tmp_path / f"{seed}.ndjson"
        capture(journal, Lose(share=0.1), until=frames(200), seed=seed)
        return [n for n in numbers(line.withheld for line in withheld(journal)) if n < 150]

    assert lost(1) == lost(1) != lost(2)


def test_only_the_connections_named_are_hit(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> None:
        faults = [Lose(connections=2, share=0.5)]
        async with SimulatedExchange(rate=500, journal=journal, faults=faults) as exchange:
            for _ in range(3):
                async with recording(exchange.url) as client:
                    await client.subscribe("level2", "BTC-USD", "ETH-USD")
                    await client.until(frames(60))

    asyncio.run(scenario())
    assert [bool(withheld(journal, conn)) for conn in (1, 2, 3)] == [False, True, False]


def test_a_fault_holds_from_when_it_is_asked_for_until_it_is_stopped(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> None:
        async with (
            SimulatedExchange(rate=500, journal=journal) as exchange,
            recording(exchange.url) as client,
        ):
            await client.subscribe("level2", "BTC-USD", "ETH-USD")
            await client.until(frames(100))
            which = exchange.misbehave({"fault": "lose", "share": 0.5})
            assert list(exchange.faults) == [which]
            count = len(client.frames)
            await client.until(frames(count + 100))
            exchange.behave(which)
            assert not exchange.faults
            with pytest.raises(KeyError):
                exchange.behave(which)
            count = len(client.frames)
            await client.until(frames(count + 100))

    asyncio.run(scenario())
    lost, seen = numbers(line.withheld for line in withheld(journal)), numbers(sent(journal))
    assert lost[0] > 50
    assert lost[-1] < seen[-1] - 50
    assert events(journal, "fault", conn=0) == [{"number": 1, "fault": "lose", "share": 0.5}]
    assert events(journal, "fault_ended", conn=0) == [{"number": 1}]

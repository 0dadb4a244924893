"""The simulator's misbehaviour that a client can notice by numbers alone: frames it never sends."""

import asyncio
import json
from pathlib import Path

import pytest

from fluxforge.sim import (
    JournalFrame,
    JournalWithheld,
    SimulatedExchange,
    read_journal,
    summarise,
)
from sim.recorder import ALL_CHANNELS, Recorder, recording


def record(journal: Path, *, lose: float) -> Recorder:
    async def scenario() -> Recorder:
        async with (
            SimulatedExchange(rate=0, journal=journal, lose=lose) as exchange,
            recording(exchange.url) as client,
        ):
            await client.say("subscribe", "no such channel")
            for channel in ALL_CHANNELS:
                await client.subscribe(channel, "BTC-USD")
            await client.until(lambda frames: len(frames) > 500)
        return client

    return asyncio.run(scenario())


def test_a_withheld_frame_uses_up_its_number_and_the_journal_has_it(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"
    client = record(journal, lose=0.1)
    lines = list(read_journal(journal))
    sent = [line.frame for line in lines if isinstance(line, JournalFrame)]
    withheld = [line for line in lines if isinstance(line, JournalWithheld)]
    assert client.texts == sent
    assert {line.why for line in withheld} == {"lost"}
    assert summarise(journal).frames == len(sent)
    # Both together are all numbers, each once; what the client misses is what was withheld.
    numbers = [json.loads(text).get("sequence_num") for text in sent]
    assert None in numbers, "an error frame is never withheld"
    seen = [number for number in numbers if number is not None]
    missing = [json.loads(line.withheld)["sequence_num"] for line in withheld]
    assert len(missing) > 10
    assert sorted(seen + missing) == list(range(max(seen + missing) + 1))


def test_nothing_is_withheld_unless_it_is_asked_for(tmp_path: Path) -> None:
    record(tmp_path / "sent.ndjson", lose=0)
    lines = read_journal(tmp_path / "sent.ndjson")
    assert not [line for line in lines if isinstance(line, JournalWithheld)]


def test_a_share_is_between_nothing_and_everything() -> None:
    with pytest.raises(ValueError, match=r"lose=1\.5 is no share"):
        SimulatedExchange(lose=1.5)

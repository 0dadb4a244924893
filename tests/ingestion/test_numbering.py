"""A connection's numbers, checked while its frames come: events, counters, and what they must say.

The oracle is the simulated exchange's journal: what it withheld, sent twice or numbered anew.
"""

from __future__ import annotations

import asyncio
import json

from fluxforge.ingestion.collectors import Collector
from fluxforge.sim import SimulatedExchange
from fluxforge.sim.faults import Lose, Repeat, Restart
from ingestion.collecting import (
    collect,
    collecting,
    events,
    make_collector,
    make_writer,
    records,
    until,
)
from sim.misbehaving import numbers, sent, withheld
from venue import venue


def capture(root, *faults, frames=400, **options) -> Collector:
    """Record one connection to a misbehaving exchange, until so many frames came."""

    async def scenario() -> Collector:
        journal = root / "journal.ndjson"
        async with SimulatedExchange(
            snapshot_levels=20, rate=2000, journal=journal, faults=faults, **options
        ) as exchange:
            writer = make_writer(root)
            collector = make_collector(exchange.url, writer)
            async with collecting(collector):
                await until(lambda: collector.stats.frames >= frames)
            await writer.close()
        return collector

    return asyncio.run(scenario())


def test_without_a_fault_nothing_is_noticed(tmp_path):
    stats = capture(tmp_path).stats
    assert (stats.gaps, stats.missing, stats.repeats, stats.restarts) == (0, 0, 0, 0)
    kinds = {r["event"]["kind"] for r in records(tmp_path) if "event" in r}
    assert kinds == {"connected", "subscribing", "disconnected"}


def test_what_was_withheld_is_what_the_gaps_say_at_the_frame_that_showed_it(tmp_path):
    stats = capture(tmp_path, Lose(after_frames=20, share=0.1)).stats
    gaps = events(tmp_path, "gap")
    lost = [n for gap in gaps for n in range(gap["expected"], gap["seen"])]
    lost_on_purpose = numbers(line.withheld for line in withheld(tmp_path / "journal.ndjson"))
    # What was withheld last may have nothing behind it that would show it.
    assert lost == lost_on_purpose[: len(lost)]
    assert len(lost_on_purpose) - len(lost) < 20 <= len(lost)
    assert {gap["reason"] for gap in gaps} == {"sequence"}
    assert all(gap["missing"] == gap["seen"] - gap["expected"] for gap in gaps)
    assert (stats.gaps, stats.missing) == (len(gaps), len(lost))
    lines = records(tmp_path)
    for at, line in enumerate(lines):
        if line.get("event", {}).get("kind") == "gap":
            frame = next(before for before in lines[at - 1 :: -1] if "data" in before)
            assert frame["data"]["sequence_num"] == line["event"]["seen"]
            assert frame["capture_ts"] == line["capture_ts"]


def test_a_frame_that_comes_again_is_a_repeat_and_no_gap(tmp_path):
    stats = capture(tmp_path, Repeat(after_frames=20, frames=3)).stats
    came = numbers(sent(tmp_path / "journal.ndjson"))
    again = [n for n, before in zip(came[1:], came, strict=False) if n == before]
    assert [repeat["seen"] for repeat in events(tmp_path, "repeat")] == again
    assert (stats.repeats, stats.gaps, len(again)) == (3, 0, 3)


def test_numbers_that_begin_again_are_a_restart_and_no_gap(tmp_path):
    stats = capture(tmp_path, Restart(after_frames=50)).stats
    assert events(tmp_path, "restart") == [{"kind": "restart", "expected": 50, "seen": 0}]
    assert (stats.restarts, stats.gaps, stats.repeats) == (1, 0, 0)


def test_a_number_that_is_not_the_envelopes_own_is_none(tmp_path):
    """Neither one inside a string nor one in a nested object, wherever the envelope has its own."""
    strange = [
        {"events": [{"sequence_num": 7}], "channel": "x", "sequence_num": 0},
        {"type": "error", "message": '{"sequence_num":99}'},
        {"a": '"sequence_num":7,', "sequence_num": 1, "events": []},
        {"events": {"sequence_num": 8}, "sequence_num": 2},
    ]
    with venue([json.dumps(frame) for frame in strange]) as here:
        stats = collect(tmp_path, here.url, lambda c: c.stats.frames == len(strange)).stats
    assert (stats.gaps, stats.repeats, stats.restarts) == (0, 0, 0)

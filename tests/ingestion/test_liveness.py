"""Silence: of a whole socket, of its heartbeats, of one channel; and the smallest thing to do."""

from __future__ import annotations

import asyncio

from fluxforge.ingestion.collectors import Timeouts
from fluxforge.ingestion.collectors.liveness import Liveness
from fluxforge.sim import SimulatedExchange
from fluxforge.sim.faults import HalfOpen
from ingestion.collecting import collecting, events, make_collector, make_writer, until

TIMEOUTS = Timeouts(silence=15, heartbeats=5, channel=300, answer=30)


def liveness() -> Liveness:
    channels = {"heartbeats": "heartbeats", "level2": "l2_data"}
    return Liveness(TIMEOUTS, channels=channels, heartbeat_channel="heartbeats")


def told(stalls) -> list[tuple[str, str | None, str]]:
    return [(each.what, each.channel, each.step) for each in stalls]


def test_a_host_that_died_without_a_word_is_left(tmp_path):
    async def scenario():
        half_open = HalfOpen(after_frames=50, connections=1)
        async with SimulatedExchange(snapshot_levels=20, rate=500, faults=[half_open]) as exchange:
            writer = make_writer(tmp_path)
            impatient = Timeouts(silence=1.5, heartbeats=60)
            collector = make_collector(
                exchange.url, writer, timeouts=impatient, watch_interval=0.05
            )
            async with collecting(collector):
                await until(lambda: collector.stats.connects == 2)
            await writer.close()
        return collector.stats

    stats = asyncio.run(scenario())
    assert stats.stalls == 1
    stall = events(tmp_path, "stalled")[0]
    assert (stall["what"], stall["step"]) == ("socket", "reconnect")
    assert stall["seconds"] >= 1.5
    assert events(tmp_path, "disconnected")[0]["reason"] == "silent for too long: socket"


def test_missing_heartbeats_are_asked_for_anew_and_then_the_connection_is():
    watch = liveness()
    assert told(watch.look(1, {"heartbeats": 1}, now=1)) == []
    assert told(watch.look(9, {"heartbeats": 1, "l2_data": 8}, now=5.9)) == []
    asked = [("heartbeats", "heartbeats", "resubscribe")]
    assert told(watch.look(10, {"heartbeats": 1, "l2_data": 9}, now=6)) == asked
    assert told(watch.look(11, {"heartbeats": 1, "l2_data": 10}, now=10.9)) == []
    given_up = [("heartbeats", "heartbeats", "reconnect")]
    assert told(watch.look(12, {"heartbeats": 1, "l2_data": 11}, now=11)) == given_up


def test_heartbeats_that_come_again_are_no_stall_any_more():
    watch = liveness()
    watch.look(1, {"heartbeats": 1}, now=1)
    assert told(watch.look(2, {"heartbeats": 1, "x": 1}, now=6)) != []
    assert told(watch.look(3, {"heartbeats": 2}, now=8)) == []
    assert told(watch.look(4, {"heartbeats": 2, "x": 2}, now=12.9)) == []


def test_a_channel_that_fell_silent_is_asked_for_anew():
    watch, found = liveness(), []
    for now in range(1, 340):
        stalls = watch.look(now + 1, {"heartbeats": now, "l2_data": 1}, now=now)
        found += [(now, *one) for one in told(stalls)]
    assert found == [
        (301, "channel", "level2", "resubscribe"),
        (331, "channel", "level2", "reconnect"),
    ]


def test_a_channel_that_never_came_is_no_silence():
    watch = liveness()
    for now in range(1, 400):
        assert told(watch.look(now, {"heartbeats": now}, now=now)) == []

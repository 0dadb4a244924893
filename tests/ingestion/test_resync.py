"""Books after a gap: asked for anew where they are, and if that brings nothing, by reconnecting."""

from __future__ import annotations

import asyncio

from fluxforge.ingestion.collectors import ConnectionPlan, Subscription
from fluxforge.sim import SimulatedExchange
from fluxforge.sim.faults import IdleChannel, Lose
from ingestion.collecting import collecting, events, make_collector, make_writer, records, until


def capture(root, *faults, done, **changes):
    async def scenario():
        async with SimulatedExchange(snapshot_levels=20, rate=500, faults=faults) as exchange:
            writer = make_writer(root)
            collector = make_collector(exchange.url, writer, **changes)
            async with collecting(collector):
                await until(lambda: done(collector.stats))
            await writer.close()
        return collector.stats

    return asyncio.run(scenario())


def snapshots(root) -> list[tuple[int, str]]:
    """Line number and product of each level2 snapshot."""
    return [
        (at, event["product_id"])
        for at, line in enumerate(records(root))
        if line.get("data", {}).get("channel") == "l2_data"
        for event in line["data"]["events"]
        if event["type"] == "snapshot"
    ]


def test_a_gap_brings_fresh_snapshots_on_the_same_connection(tmp_path):
    lose = Lose(after_frames=100, frames=1)
    stats = capture(tmp_path, lose, done=lambda s: s.frames > 600)
    assert (stats.connects, stats.gaps, stats.resyncs) == (1, 1, 1)
    resync = {"channel": "level2", "product_ids": ["BTC-USD", "ETH-USD"], "step": "resubscribe"}
    assert events(tmp_path, "resync") == [{"kind": "resync", **resync}]
    kinds = [line.get("event", {}).get("kind") for line in records(tmp_path)]
    after = sorted(product for at, product in snapshots(tmp_path) if at > kinds.index("resync"))
    assert kinds.index("gap") < kinds.index("resync")
    assert after == ["BTC-USD", "ETH-USD"]


def test_many_gaps_in_a_row_are_one_resync_in_an_interval(tmp_path):
    lose = Lose(after_frames=100, frames=30, share=0.2)
    stats = capture(tmp_path, lose, done=lambda s: s.frames > 1000, resync_interval=60.0)
    assert (stats.connects, stats.resyncs) == (1, 1)
    assert stats.gaps > 5


def test_a_resync_without_snapshots_ends_the_connection(tmp_path):
    faults = (
        Lose(after_frames=100, frames=1, connections=1),
        IdleChannel(channel="level2", after_frames=90, connections=1),
    )
    capture(tmp_path, *faults, done=lambda s: s.connects == 2, resync_timeout=0.3)
    assert [each["step"] for each in events(tmp_path, "resync")] == ["resubscribe", "reconnect"]
    assert "no snapshots" in events(tmp_path, "disconnected")[0]["reason"]


def test_a_product_without_a_book_costs_one_reconnect(tmp_path):
    books = Subscription("level2", ("BTC-USD", "ETH-USD", "NO-SUCH"))
    lose = Lose(after_frames=100, frames=1)
    stats = capture(
        tmp_path,
        lose,
        done=lambda s: s.resyncs == 3 and s.frames > 1000,
        plan=ConnectionPlan(0, (Subscription("heartbeats", ()), books)),
        resync_timeout=0.5,
    )
    steps = [each["step"] for each in events(tmp_path, "resync")]
    assert steps == ["resubscribe", "reconnect", "resubscribe"]
    assert stats.connects == 2

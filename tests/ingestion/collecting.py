"""A collector in the background of a test, and what it left on the disk."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from fluxforge.ingestion.collectors import (
    Backoff,
    Collector,
    ConnectionPlan,
    ConnectionSettings,
    Pace,
    Subscription,
    Timeouts,
)
from fluxforge.ingestion.writers import LogWriter
from fluxforge.storage import LocalStorage

PLAN = ConnectionPlan(
    0, (Subscription("heartbeats", ()), Subscription("level2", ("BTC-USD", "ETH-USD")))
)


PATIENT = Timeouts(silence=60.0, heartbeats=60.0)


def make_writer(root: Path, **settings) -> LogWriter:
    return LogWriter(
        LocalStorage(root),
        active_path="active",
        ready_path="ready",
        quarantine_path="quarantine",
        source="coinbase",
        **settings,
    )


def make_collector(url, writer, *, plan=PLAN, **changes):
    settings = {"url": url, "max_message_bytes": 64 << 20, "timeouts": PATIENT} | changes
    return Collector(
        plan,
        settings=ConnectionSettings(**settings),
        writer=writer,
        run_id="run",
        connect_pace=Pace(0.01),
        message_pace=Pace(0.01),
        backoff=Backoff(first=0.02, cap=0.1, rng=Random(1)),
    )


@asynccontextmanager
async def collecting(collector):
    """Run a collector in the background; stop it cleanly at the block's end."""
    stop = asyncio.Event()
    task = asyncio.create_task(collector.run(stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def until(condition):
    """Wait for a condition without blocking the loop."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


def records(root: Path) -> list[dict]:
    """Every line of every sealed segment."""
    return [
        json.loads(line)
        for segment in sorted((root / "ready").glob("*.ndjson"))
        for line in segment.read_bytes().splitlines()
    ]


def frames(root: Path) -> list[object]:
    return [r.get("data", r.get("raw")) for r in records(root) if {"data", "raw"} & set(r)]


def events(root: Path, kind: str) -> list[dict]:
    return [r["event"] for r in records(root) if r.get("event", {}).get("kind") == kind]


def collect(root, url, done, **changes):
    """Collect until the condition holds for the collector; return it."""

    async def scenario():
        writer = make_writer(root)
        collector = make_collector(url, writer, **changes)
        try:
            async with collecting(collector):
                await until(lambda: done(collector))
        finally:
            await writer.close()
        return collector

    return asyncio.run(scenario())

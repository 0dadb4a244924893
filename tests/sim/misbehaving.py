"""A plain client before a misbehaving exchange, and what the journal says about both."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from fluxforge.sim import (
    JournalEvent,
    JournalFrame,
    JournalWithheld,
    SimulatedExchange,
    choose_products,
    read_journal,
)
from fluxforge.sim.faults import Fault
from sim.recorder import Frame, Recorder, recording

PRODUCTS = ("BTC-USD", "ETH-USD", "SOL-USD")
CHANNELS = ("heartbeats", "level2", "market_trades", "ticker")


def capture(
    journal: Path,
    *faults: Fault | Mapping[str, Any],
    until: Callable[[list[Frame]], object],
    channels: Iterable[str] = CHANNELS,
    **options: Any,
) -> Recorder:
    """Record one connection until the frames satisfy a condition; then close as one should."""

    async def scenario() -> Recorder:
        options.setdefault("rate", 2000)
        products = choose_products(len(PRODUCTS))
        async with (
            SimulatedExchange(
                products=products, snapshot_levels=20, journal=journal, faults=faults, **options
            ) as exchange,
            recording(exchange.url) as client,
        ):
            for channel in channels:
                await client.subscribe(channel, *PRODUCTS)
            await client.until(until)
        return client

    return asyncio.run(scenario())


def frames(count: int) -> Callable[[list[Frame]], bool]:
    return lambda received: len(received) >= count


def sent(journal: Path, conn: int = 1) -> list[str]:
    return [
        line.frame
        for line in read_journal(journal)
        if isinstance(line, JournalFrame) and line.conn == conn
    ]


def withheld(journal: Path, conn: int = 1) -> list[JournalWithheld]:
    return [
        line
        for line in read_journal(journal)
        if isinstance(line, JournalWithheld) and line.conn == conn
    ]


def events(journal: Path, event: str, conn: int = 1) -> list[dict[str, Any]]:
    """The details of a kind of event."""
    return [
        line.detail
        for line in read_journal(journal)
        if isinstance(line, JournalEvent) and (line.conn, line.event) == (conn, event)
    ]


def numbers(texts: Iterable[str]) -> list[int]:
    found = (json.loads(text).get("sequence_num") for text in texts)
    return [number for number in found if number is not None]

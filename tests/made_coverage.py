"""Facts about connections, made by hand: what the parser and the collector would have told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fluxforge.etl.coverage import Delivery, Event, coverage_rows
from fluxforge.ledger.coverage import CoverageRow

BOOK = "level2"


@dataclass
class Gap:
    expected: int
    seen: int
    after_ns: int
    capture_ns: int


@dataclass
class Sequence:
    """As ``fluxforge._native.ConnectionSequence``."""

    conn: str = "c"
    first_sequence: int | None = 0
    last_sequence: int | None = 9
    first_capture_ns: int = 100
    last_capture_ns: int = 200
    gaps: list[Gap] = field(default_factory=list)


def event(kind: str, at_ns: int, conn: str = "c", **fields: Any) -> Event:
    return Event(conn=conn, at_ns=at_ns, kind=kind, fields={"kind": kind, **fields})


def delivered(*keys: tuple[Any, ...]) -> dict[tuple[str, str, str], Delivery]:
    """``(channel, product, first_ns, *snapshots)`` each; of c if no connection stands first."""
    found = {}
    for key in keys:
        conn, channel, product, first_ns, *snapshots = (
            key if len(key) > 3 and isinstance(key[2], str) else ("c", *key)
        )
        found[conn, channel, product] = Delivery(first_ns, set(snapshots))
    return found


def rows(sequences=(), events=(), deliveries=None) -> list[CoverageRow]:
    return list(coverage_rows(sequences, events, deliveries or {}, book_channel=BOOK))


def told(rows: list[CoverageRow], *states: str) -> list[tuple[Any, ...]]:
    """Rows without what is empty in them, of some states or of all."""
    return [
        tuple(value for value in row.values() if value is not None)
        for row in rows
        if not states or row.state in states
    ]

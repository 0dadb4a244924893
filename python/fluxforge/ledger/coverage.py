"""The ``coverage`` table's vocabulary: what a row says, and when a book is to be trusted.

The ETL writes what one segment proves by itself; ``fluxforge.lake`` joins the segments. A row
without channel and product speaks of the whole connection, and so of every product on it:

    live          what the connection's numbers span, or when a product was delivered on it
    gap           numbers that never came (exact), or the end of a connection whose writer died
    suspect       a level2 product between a gap of its connection and its next snapshot
    disconnected  the connection's end; nothing came on it from then on
    refused       asked for, and not delivered
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

State = Literal["live", "suspect", "gap", "disconnected", "refused"]

COVERAGE = "coverage"
"""The table's name."""

COLUMNS: tuple[tuple[str, str, bool], ...] = (
    ("conn", "dictionary", False),
    ("channel", "dictionary", True),
    ("product_id", "dictionary", True),
    ("start_ts", "timestamp", False),
    ("end_ts", "timestamp", True),
    ("state", "dictionary", False),
    ("first_sequence", "integer", True),
    ("last_sequence", "integer", True),
    ("missing", "integer", True),
    ("reason", "dictionary", True),
)
"""Name, kind and whether it may be null, in their order."""

CONNECTED = "connected"
"""Reason of the live row of a connection that began in its segment."""
SNAPSHOT = "snapshot"
"""Reason of a level2 row whose book was given anew at its start."""
NOT_DELIVERED = "not delivered"
"""Reason of a refusal that shows by absence alone."""
STOPPED = "stopped"
"""Reason of a connection that was ended by us, with everything that was sent on it received."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageRow:
    """One row.

    Attributes:
        conn: The connection's name.
        channel: As one subscribes to it, ``level2``; None: all of the connection.
        product_id: As on the wire; None: all of the connection.
        start_ns: From when, nanoseconds since the epoch.
        end_ns: Until when; None: nobody knows yet.
        state: See the module.
        first_sequence: First number that it speaks of.
        last_sequence: Last number that it speaks of; None: nobody knows.
        missing: Frames that never came: exact inside a connection, None where it cannot be known.
        reason: Why, in a word of this module, or in the venue's.
    """

    conn: str
    channel: str | None = None
    product_id: str | None = None
    start_ns: int
    end_ns: int | None
    state: State
    first_sequence: int | None = None
    last_sequence: int | None = None
    missing: int | None = None
    reason: str | None = None

    def values(self) -> tuple[str | int | None, ...]:
        """Return the row in the order of ``COLUMNS``."""
        return (
            self.conn,
            self.channel,
            self.product_id,
            self.start_ns,
            self.end_ns,
            self.state,
            self.first_sequence,
            self.last_sequence,
            self.missing,
            self.reason,
        )


def book_rows(
    book: tuple[str, str, str],
    *,
    start_ns: int,
    end_ns: int,
    snapshots: Sequence[int],
    gaps: Iterable[CoverageRow],
) -> Iterator[CoverageRow]:
    """Divide a book's time into live and suspect; a live span ends where a snapshot begins another.

    A gap may have held a change of any book on its socket, so each is suspect from the last frame
    before the gap until its own next snapshot.

    Args:
        book: Connection, channel and product.
        start_ns: Its first delivery on the connection.
        end_ns: Until when the connection is looked at.
        snapshots: When the book was given anew, ascending.
        gaps: The connection's gaps.
    """
    conn, channel, product_id = book

    def row(state: State, start: int, end: int, reason: str | None) -> CoverageRow:
        return CoverageRow(
            conn=conn,
            channel=channel,
            product_id=product_id,
            start_ns=start,
            end_ns=end,
            state=state,
            reason=reason,
        )

    def live(start: int, end: int) -> Iterator[CoverageRow]:
        cuts = sorted({start, *(at for at in snapshots if start <= at <= end)})
        for begin, until in pairwise([*cuts, end]):
            yield row("live", begin, until, SNAPSHOT if begin in given else None)

    given = set(snapshots)
    trusted_from = start_ns
    for suspect_from, suspect_until in _suspects(start_ns, end_ns, snapshots, gaps):
        if suspect_from > trusted_from:
            yield from live(trusted_from, suspect_from)
        yield row("suspect", suspect_from, suspect_until, "gap")
        trusted_from = suspect_until
    # Also of no length: that it was delivered, or given anew, is what the next segment must know.
    if end_ns > trusted_from or trusted_from in {start_ns, *given}:
        yield from live(trusted_from, end_ns)


def _suspects(
    start_ns: int, end_ns: int, snapshots: Sequence[int], gaps: Iterable[CoverageRow]
) -> list[tuple[int, int]]:
    """Spans between a gap and the snapshot that heals it, merged where they meet."""
    spans: list[tuple[int, int]] = []
    for gap in sorted(gaps, key=lambda gap: gap.start_ns):
        seen_ns = end_ns if gap.end_ns is None else gap.end_ns
        if seen_ns < start_ns or gap.start_ns >= end_ns:
            continue
        begin = max(gap.start_ns, start_ns)
        healing = bisect_left(snapshots, max(seen_ns, begin))
        until = snapshots[healing] if healing < len(snapshots) else end_ns
        if spans and begin < spans[-1][1]:
            earlier, earlier_until = spans.pop()
            begin, until = earlier, max(until, earlier_until)
        if until > begin:
            spans.append((begin, until))
    return spans

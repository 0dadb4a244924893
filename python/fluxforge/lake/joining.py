"""Coverage over segments: a connection goes on in the next one, a product on the next connection.

Pure: rows of segments in, rows of the lake out. Done by whoever reads, never written down: so it
does not matter in which order segments were committed, and a segment that comes late closes the
gap that its absence had opened.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice
from operator import itemgetter

from fluxforge.ledger.coverage import (
    CONNECTED,
    NOT_DELIVERED,
    SNAPSHOT,
    STOPPED,
    CoverageRow,
    book_rows,
)

NOT_IN_THE_LAKE = "not in the lake"
"""Reason of a gap where a segment is missing: not committed yet, in quarantine or lost."""

BETWEEN_SEGMENTS = "between segments"
"""Reason of a gap between one segment of a connection and the next that is in the lake."""

# A venue answers within a second; snapshots of many large books take their time.
_PATIENCE_NS = 1 * 10**9
_PATIENCE_WITH_DELIVERY_NS = 30 * 10**9

_Key = tuple[str, str]  # channel and product


@dataclass(slots=True)
class _Connection:
    """What all segments say of one connection."""

    conn: str
    lives: list[CoverageRow] = field(default_factory=list)
    gaps: list[CoverageRow] = field(default_factory=list)
    end: CoverageRow | None = None
    refused: list[CoverageRow] = field(default_factory=list)
    asked: dict[_Key, int] = field(default_factory=dict)
    first: dict[_Key, int] = field(default_factory=dict)
    snapshots: dict[_Key, set[int]] = field(default_factory=dict)

    def add_segment(self, rows: Iterable[CoverageRow]) -> None:
        """Take what the next segment says."""
        rows = list(rows)
        known = _last([row.last_sequence for row in self.lives])
        begins = next((row.first_sequence for row in rows if _is_life(row)), None)
        if known is not None and begins and begins <= known:
            # It begins with a repeat of an earlier one: what lies between had come.
            rows = [left for row in rows if (left := _after_number(row, known)) is not None]
        for row in rows:
            self._add(row)

    def _add(self, row: CoverageRow) -> None:
        if row.channel is not None and row.product_id is not None:
            self._add_product(row, (row.channel, row.product_id))
        elif row.state == "live":
            self.lives.append(row)
        elif row.state == "refused":
            self.refused.append(row)
        elif row.end_ns is None:
            self.end = row
        else:
            self.gaps.append(row)

    def _add_product(self, row: CoverageRow, key: _Key) -> None:
        if row.state != "refused":
            self.first[key] = min(self.first.get(key, row.start_ns), row.start_ns)
            if row.reason == SNAPSHOT:
                self.snapshots.setdefault(key, set()).add(row.start_ns)
        elif row.reason == NOT_DELIVERED:
            self.asked[key] = min(self.asked.get(key, row.start_ns), row.start_ns)
        else:
            self.refused.append(row)

    @property
    def start_ns(self) -> int:
        return min(row.start_ns for row in self.lives)

    @property
    def end_ns(self) -> int:
        return max(row.end_ns or row.start_ns for row in self.lives)

    @property
    def keys(self) -> frozenset[_Key]:
        refused = (key for key in self.asked if _delivered(self, key) is None)
        return frozenset(self.first) | frozenset(refused)


def join(
    segments: Iterable[Iterable[CoverageRow]], *, book_channel: str
) -> tuple[list[CoverageRow], Mapping[str, frozenset[_Key]]]:
    """Join segments' rows.

    Args:
        segments: The rows of each segment, segments in the order of their names.
        book_channel: The channel whose products are suspect after a gap.

    Returns:
        Rows in the order of their start, and what each connection carried. Every product has the
        connection's end in a row of its own, from then until it was delivered again.
    """
    connections: dict[str, _Connection] = {}
    for rows in segments:
        of_segment: dict[str, list[CoverageRow]] = {}
        for row in rows:
            of_segment.setdefault(row.conn, []).append(row)
        for conn, of_conn in of_segment.items():
            connections.setdefault(conn, _Connection(conn)).add_segment(of_conn)
    known = [connection for connection in connections.values() if connection.lives]
    joined: list[CoverageRow] = []
    for connection in known:
        joined += _inside(connection, book_channel)
    joined += _ends(known)
    joined.sort(key=lambda row: (row.start_ns, row.conn, row.channel or "", row.product_id or ""))
    return joined, {connection.conn: connection.keys for connection in known}


def _inside(connection: _Connection, book_channel: str) -> Iterator[CoverageRow]:
    """What a connection's own numbers and events prove."""
    lives, start_ns, end_ns = connection.lives, connection.start_ns, connection.end_ns
    numbers = [n for n in (row.first_sequence for row in lives) if n is not None]
    yield replace(
        lives[0],
        start_ns=start_ns,
        end_ns=end_ns,
        first_sequence=numbers[0] if numbers else None,
        last_sequence=_last([row.last_sequence for row in lives]),
    )
    gaps = [*connection.gaps, *_between(lives)]
    yield from gaps
    for (channel, product), first_ns in connection.first.items():
        yield from book_rows(
            (connection.conn, channel, product),
            start_ns=first_ns,
            end_ns=max(end_ns, first_ns),
            snapshots=sorted(connection.snapshots.get((channel, product), ())),
            gaps=gaps if channel == book_channel else (),
        )
    yield from _refusals(connection)


def _between(lives: list[CoverageRow]) -> Iterator[CoverageRow]:
    """Numbers that neither of two neighbouring segments has."""
    if not lives[0].conn:
        return  # frames without a connection's name may be of many
    begun = lives[0]
    has_beginning = begun.reason == CONNECTED
    # The venue numbers from 0 on. A segment that has the connection's beginning and its first
    # number has told itself what lies before that.
    last = None if has_beginning and begun.first_sequence is not None else -1
    before = None if has_beginning else replace(begun, end_ns=begun.start_ns)
    for live in lives:
        if live.first_sequence is not None:
            expected = live.first_sequence if last is None else last + 1
            # A number that is not above the last is a repeat, or the count began anew.
            if before is not None and live.first_sequence > expected:
                yield CoverageRow(
                    conn=live.conn,
                    start_ns=before.end_ns or before.start_ns,
                    end_ns=live.start_ns,
                    state="gap",
                    first_sequence=expected,
                    last_sequence=live.first_sequence - 1,
                    missing=live.first_sequence - expected,
                    reason=BETWEEN_SEGMENTS if has_beginning or last != -1 else NOT_IN_THE_LAKE,
                )
        if live.last_sequence is not None:
            last = live.last_sequence
        before = live


def _refusals(connection: _Connection) -> Iterator[CoverageRow]:
    """Until when the venue kept to its refusal: the delivery, or the connection's end."""
    end_ns = connection.end_ns
    told = set()
    for row in connection.refused:
        key = row.channel or "", row.product_id or ""
        told.add(key)
        until = max(row.start_ns, connection.first.get(key, end_ns))
        yield replace(row, end_ns=until)
    for key, asked_ns in connection.asked.items():
        delivered_ns = _delivered(connection, key)
        until = end_ns if delivered_ns is None else delivered_ns
        patience = _PATIENCE_NS if delivered_ns is None else _PATIENCE_WITH_DELIVERY_NS
        if until - asked_ns > patience and key not in told:
            yield CoverageRow(
                conn=connection.conn,
                channel=key[0],
                product_id=key[1],
                start_ns=asked_ns,
                end_ns=until,
                state="refused",
                reason=NOT_DELIVERED,
            )


def _delivered(connection: _Connection, key: _Key) -> int | None:
    """When what was asked for came, if it did: a -USDC book comes as the -USD one."""
    channel, product = key
    return connection.first.get(key, connection.first.get((channel, product.removesuffix("C"))))


def _ends(connections: list[_Connection]) -> Iterator[CoverageRow]:
    """From each connection's end until its products came on another."""
    held = _Held(connections)
    for each in connections:
        end = each.end or CoverageRow(
            conn=each.conn,
            start_ns=each.end_ns,
            end_ns=None,
            state="gap",
            reason=NOT_IN_THE_LAKE,
        )
        # The segment that has the end may have none of the connection's frames.
        end = replace(end, first_sequence=_after(each.lives))
        # Where nothing follows, a stop is no loss, and what has no end yet may still go on.
        needs_successor = each.end is None or end.reason == STOPPED
        for channel, product in sorted(each.keys):
            if held.at((channel, product), end.start_ns):
                continue  # another socket has it
            until = held.next_after((channel, product), end.start_ns, but=each.conn)
            if until is not None or not needs_successor:
                yield replace(end, channel=channel, product_id=product, end_ns=until)
        if not each.keys and not needs_successor:
            starts = (other.start_ns for other in connections if other.start_ns > end.start_ns)
            yield replace(end, end_ns=min(starts, default=None))


class _Held:
    """When which connection had which product: from its delivery, or from asking for it in vain."""

    def __init__(self, connections: Iterable[_Connection]) -> None:
        self._spans: dict[_Key, list[tuple[int, str]]] = {}
        self._until: dict[_Key, list[int]] = {}
        unsorted: dict[_Key, list[tuple[int, str, int]]] = {}
        for each in connections:
            for key in each.keys:
                start_ns = each.first.get(key, each.asked.get(key, each.start_ns))
                unsorted.setdefault(key, []).append((start_ns, each.conn, each.end_ns))
        for key, spans in unsorted.items():
            spans.sort()
            self._spans[key] = [(start_ns, conn) for start_ns, conn, _ in spans]
            self._until[key] = list(accumulate((end_ns for *_, end_ns in spans), max))

    def at(self, key: _Key, ns: int) -> bool:
        """Whether a connection had it and went on having it."""
        begun = bisect_right(self._spans.get(key, []), ns, key=itemgetter(0))
        return begun > 0 and self._until[key][begun - 1] > ns

    def next_after(self, key: _Key, ns: int, *, but: str) -> int | None:
        """When another connection had it again."""
        spans = self._spans.get(key, [])
        later = islice(spans, bisect_left(spans, ns, key=itemgetter(0)), None)
        return next((start_ns for start_ns, conn in later if conn != but), None)


def _is_life(row: CoverageRow) -> bool:
    return row.state == "live" and row.product_id is None


def _after_number(row: CoverageRow, known: int) -> CoverageRow | None:
    """What is left of a gap once numbers up to a known one are taken out of it."""
    if row.first_sequence is None or row.last_sequence is None or row.missing is None:
        return row
    first = max(row.first_sequence, known + 1)
    if first > row.last_sequence:
        return None
    return replace(row, first_sequence=first, missing=row.last_sequence + 1 - first)


def _after(lives: list[CoverageRow]) -> int | None:
    last = _last([row.last_sequence for row in lives])
    return None if last is None else last + 1


def _last(numbers: list[int | None]) -> int | None:
    return next((number for number in reversed(numbers) if number is not None), None)

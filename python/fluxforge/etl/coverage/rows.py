"""What one segment proves, connection by connection. Pure: facts in, rows out.

A connection may go on in the next segment and may have begun in the one before, in any order of
commits; so a segment's rows say only what it knows by itself, and ``fluxforge.lake`` joins them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from fluxforge._native import ConnectionSequence
from fluxforge.etl.coverage.deliveries import Delivery
from fluxforge.etl.coverage.events import Event
from fluxforge.ledger.coverage import (
    CONNECTED,
    NOT_DELIVERED,
    STOPPED,
    CoverageRow,
    book_rows,
)

_LONGEST_REASON = 200
_MOST = 2**63 - 1  # what a column holds; a number of the wire may be any


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection's sequence numbers in the segment.

    Attributes:
        sequence: As the parser found them; None: the segment has events of it alone.
        events: What happened to it, in order.
        delivered: By channel and product.
    """

    sequence: ConnectionSequence | None
    events: Sequence[Event]
    delivered: Mapping[tuple[str, str], Delivery]


def coverage_rows(
    sequences: Iterable[ConnectionSequence],
    events: Iterable[Event],
    delivered: Mapping[tuple[str, str, str], Delivery],
    *,
    book_channel: str,
) -> Iterator[CoverageRow]:
    """Say what a segment proves.

    Args:
        sequences: What the parser found of each connection.
        events: Our own lines, in order.
        delivered: By connection, channel and product.
        book_channel: The channel whose products are suspect after a gap.
    """
    found = {sequence.conn: sequence for sequence in sequences}
    happened: dict[str, list[Event]] = {conn: [] for conn in found}
    for event in events:
        happened.setdefault(event.conn, []).append(event)
    products: dict[str, dict[tuple[str, str], Delivery]] = {conn: {} for conn in happened}
    for (conn, channel, product), delivery in delivered.items():
        products.setdefault(conn, {})[channel, product] = delivery
    for conn, of_conn in happened.items():
        connection = Connection(found.get(conn), of_conn, products[conn])
        yield from _connection_rows(conn, connection, book_channel)


def _connection_rows(conn: str, known: Connection, book_channel: str) -> Iterator[CoverageRow]:
    sequence = known.sequence
    times = [event.at_ns for event in known.events]
    if sequence is not None:
        times += [sequence.first_capture_ns, sequence.last_capture_ns]
    start_ns, end_ns = min(times), max(times)
    first = sequence.first_sequence if sequence else None
    last = sequence.last_sequence if sequence else None
    connected = any(event.kind == "connected" for event in known.events)
    yield CoverageRow(
        conn=conn,
        start_ns=start_ns,
        end_ns=end_ns,
        state="live",
        first_sequence=first,
        last_sequence=last,
        reason=CONNECTED if connected else None,
    )
    gaps = list(_gaps(conn, known, connected=connected, start_ns=start_ns))
    yield from gaps
    yield from _ends(conn, known.events, None if last is None else min(last + 1, _MOST))
    yield from _refusals(conn, known, end_ns)
    for (channel, product), delivery in known.delivered.items():
        is_book = channel == book_channel
        yield from book_rows(
            (conn, channel, product),
            start_ns=delivery.first_ns,
            end_ns=max(end_ns, delivery.first_ns),
            snapshots=sorted(delivery.snapshots),
            gaps=gaps if is_book else (),
        )


def _gaps(conn: str, known: Connection, *, connected: bool, start_ns: int) -> Iterator[CoverageRow]:
    """Numbers that never came, and frames of ours that a full queue dropped."""
    dropped = [
        (event.time_ns("first_ts") or event.at_ns, event.time_ns("last_ts") or event.at_ns)
        for event in known.events
        if event.kind == "dropped"
    ]
    explained = set()

    def row(first: int, seen: int, start: int, end: int) -> CoverageRow:
        causes = {span for span in dropped if span[0] <= end and span[1] >= start}
        explained.update(causes)
        return CoverageRow(
            conn=conn,
            start_ns=start,
            end_ns=end,
            state="gap",
            first_sequence=first,
            last_sequence=seen - 1,
            missing=min(seen - first, _MOST),
            reason="dropped" if causes else "sequence",
        )

    sequence = known.sequence
    if sequence is not None:
        # A venue numbers each connection from 0 on.
        if connected and sequence.first_sequence:
            yield row(0, sequence.first_sequence, start_ns, sequence.first_capture_ns)
        for gap in sequence.gaps:
            yield row(gap.expected, gap.seen, gap.after_ns, gap.capture_ns)
    for first_ns, last_ns in dropped:
        if (first_ns, last_ns) not in explained:
            # The next segment's numbers tell how many, or nothing numbered was among them.
            yield CoverageRow(
                conn=conn, start_ns=first_ns, end_ns=last_ns, state="gap", reason="dropped"
            )


def _ends(conn: str, events: Iterable[Event], after: int | None) -> Iterator[CoverageRow]:
    """The connection's end. How many frames died with it, nobody knows."""
    for event in events:
        if event.kind == "disconnected":
            stopped = event.text("cause") == "stop"
            yield CoverageRow(
                conn=conn,
                start_ns=event.at_ns,
                end_ns=None,
                state="disconnected",
                first_sequence=after,
                reason=STOPPED if stopped else _short(event.text("reason")),
            )
        # One that the sequence check noticed is in the numbers already.
        elif event.kind == "gap" and event.text("reason") != "sequence":
            yield CoverageRow(
                conn=conn,
                start_ns=event.time_ns("start_ts") or event.at_ns,
                end_ns=event.time_ns("end_ts"),
                state="gap",
                first_sequence=after,
                reason=_short(event.text("reason")),
            )


def _refusals(conn: str, known: Connection, end_ns: int) -> Iterator[CoverageRow]:
    """What the venue refused, and what was asked for without ever being delivered."""
    refused: set[tuple[str | None, str | None]] = set()
    for event in known.events:
        if event.kind != "refused":
            continue
        channel = event.text("channel")
        products: list[str | None] = [*event.names("product_ids")] or [None]
        for product in products:
            refused.add((channel, product))
            yield CoverageRow(
                conn=conn,
                channel=channel,
                product_id=product,
                start_ns=event.at_ns,
                end_ns=None,
                state="refused",
                reason=_refusal(event),
            )
    asked = {
        (channel, product): event.at_ns
        for event in known.events
        if event.kind == "subscribing" and (channel := event.text("channel")) is not None
        for product in event.names("product_ids")
    }
    for (channel, product), at_ns in asked.items():
        names = {(channel, product), (channel, _on_the_wire(product))}
        if names.isdisjoint(known.delivered) and (channel, product) not in refused:
            yield CoverageRow(
                conn=conn,
                channel=channel,
                product_id=product,
                start_ns=at_ns,
                end_ns=max(end_ns, at_ns),
                state="refused",
                reason=NOT_DELIVERED,
            )


def _on_the_wire(product: str) -> str:
    """Most USDC books are the USD books under another name, and come under that."""
    return product.removesuffix("C") if product.endswith("-USDC") else product


def _refusal(event: Event) -> str | None:
    """The venue's own words, out of the error frame where the event holds one."""
    message = event.text("message") or event.text("reason")
    try:
        frame = orjson.loads(message or "")
    except orjson.JSONDecodeError:
        return _short(message)
    words = frame.get("message") if isinstance(frame, dict) else None
    return _short(words if isinstance(words, str) else message)


def _short(reason: str | None) -> str | None:
    return None if reason is None else reason[:_LONGEST_REASON]

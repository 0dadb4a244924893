"""What is missing, as people read it: one line for one thing that happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fluxforge.cli.moments import exactly, lasting, readably
from fluxforge.ledger.coverage import COLUMNS, CoverageRow

_NAMES_SHOWN = 4


def as_object(row: CoverageRow) -> dict[str, Any]:
    """Return a row under the table's names; times as raw has them."""
    return {
        name: exactly(value) if kind == "timestamp" and isinstance(value, int) else value
        for (name, kind, _), value in zip(COLUMNS, row.values(), strict=True)
    }


def gap_lines(
    holes: Iterable[CoverageRow], carried: Mapping[str, frozenset[tuple[str, str]]]
) -> list[str]:
    """Say when, how long, of what, how much and why; in the order of time.

    A connection's end is a row for each of its products, and one line here: as long as the
    longest of them.
    """
    happened: dict[tuple[object, ...], list[CoverageRow]] = {}
    for row in holes:
        # Books heal one by one, but what made them suspect is one gap.
        numbers = row.first_sequence, row.last_sequence
        what = row.conn, row.state, row.start_ns, row.reason, numbers
        happened.setdefault(what, []).append(row)
    return [_line(rows, carried) for rows in happened.values()]


def total(holes: Iterable[CoverageRow]) -> str:
    """Add up: how many frames are known to be missing, and where nobody can know."""
    holes = list(holes)
    missing = sum(row.missing or 0 for row in holes)
    exact = sum(row.missing is not None for row in holes)
    ends = {(row.conn, row.start_ns) for row in holes if _of_unknown_size(row)}
    refused = sum(row.state == "refused" for row in holes)
    suspect = sum(row.state == "suspect" for row in holes)
    counts = [
        (exact, f"{missing:,} frames in {_many(exact, 'gap')}"),
        (len(ends), f"an unknown number in {_many(len(ends), 'interruption')}"),
        (suspect, f"{_many(suspect, 'suspect span')} of a book"),
        (refused, _many(refused, "refusal")),
    ]
    return ", ".join(words for count, words in counts if count)


def _line(rows: list[CoverageRow], carried: Mapping[str, frozenset[tuple[str, str]]]) -> str:
    first = rows[0]
    ends = [row.end_ns for row in rows]
    known = [end for end in ends if end is not None]
    how_long = lasting(max(known) - first.start_ns) if len(known) == len(ends) else "until now"
    line = f"{readably(first.start_ns)}  {how_long:>10}  {first.state:<12}  {_of(rows, carried)}"
    if first.missing is not None:
        numbers = f"{first.first_sequence} to {first.last_sequence}"
        line += f"  {first.missing:,} frames (numbers {numbers})"
    elif _of_unknown_size(first):
        line += "  an unknown number of frames"
    if not first.reason:
        return line
    # A venue's words must not forge a line.
    words = first.reason if first.reason.isprintable() else repr(first.reason)
    return f"{line}  {words}"


def _of(rows: list[CoverageRow], carried: Mapping[str, frozenset[tuple[str, str]]]) -> str:
    named = {(row.channel, row.product_id) for row in rows if row.product_id is not None}
    pairs = named or carried.get(rows[0].conn, frozenset())
    products = sorted({str(product) for _, product in pairs})
    channels = sorted({str(channel) for channel, _ in pairs})
    if not products:
        return f"all on {rows[0].conn}"
    return f"{_names(products)} ({_names(channels)})"


def _names(names: list[str]) -> str:
    if len(names) > _NAMES_SHOWN:
        return f"{', '.join(names[:_NAMES_SHOWN])} and {len(names) - _NAMES_SHOWN} more"
    return ", ".join(names)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _of_unknown_size(row: CoverageRow) -> bool:
    return row.state == "disconnected" or (row.state == "gap" and row.missing is None)

"""Coverage rows as partitions by date, in an order that depends on the rows alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from fluxforge._native import Partition, make_partition
from fluxforge.ledger.coverage import COLUMNS, COVERAGE, CoverageRow


def coverage_partitions(rows: Iterable[CoverageRow]) -> list[Partition]:
    """Make partitions of rows, by the UTC date of their start."""
    by_date: dict[str, list[CoverageRow]] = {}
    for row in sorted(rows, key=_place):
        by_date.setdefault(_date(row.start_ns), []).append(row)
    return [_partition(date, of_date) for date, of_date in sorted(by_date.items())]


def _partition(date: str, rows: list[CoverageRow]) -> Partition:
    values = zip(*(row.values() for row in rows), strict=True)
    return make_partition(
        COVERAGE,
        date=date,
        columns=[(*column, of_column) for column, of_column in zip(COLUMNS, values, strict=True)],
        min_capture_ns=min(row.start_ns for row in rows),
        max_capture_ns=max(row.end_ns or row.start_ns for row in rows),
    )


def _date(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 10**9, tz=UTC):%Y-%m-%d}"


def _place(row: CoverageRow) -> tuple[str, int, str, str, str, int]:
    return (
        row.conn,
        row.start_ns,
        row.channel or "",
        row.product_id or "",
        row.state,
        row.first_sequence or 0,
    )

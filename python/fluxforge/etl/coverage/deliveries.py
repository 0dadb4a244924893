"""When each product was delivered on each connection, read off the rows themselves.

Nothing that the venue says of subscriptions is asked: what was delivered was delivered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fluxforge._native import Partition

_CHANNEL = "channel"  # of a table that several channels share
_SNAPSHOT = "snapshot"


@dataclass(slots=True)
class Delivery:
    """One product on one channel of one connection, in one segment.

    Attributes:
        first_ns: When its first row was captured, nanoseconds since the epoch.
        snapshots: When its book was given anew; of the book's channel alone.
    """

    first_ns: int
    snapshots: set[int] = field(default_factory=set)


class Deliveries:
    """Collects deliveries, partition by partition.

    Args:
        book_channel: The channel whose snapshots end what was suspect.
        product_columns: Where a table without product in its path names it.

    Attributes:
        found: By connection, channel and product.
    """

    def __init__(self, *, book_channel: str, product_columns: dict[str, str] | None = None) -> None:
        self.found: dict[tuple[str, str, str], Delivery] = {}
        self._book_channel = book_channel
        self._product_columns = {"status": "id"} if product_columns is None else product_columns

    def add(self, partitions: Iterable[Partition]) -> None:
        """Take note of what partitions hold. Those of later stretches come later."""
        for partition in partitions:
            rows = pa.table(partition)
            self._note_first(partition, rows)
            if partition.table == self._book_channel and partition.product_id is not None:
                self._note_snapshots(partition.product_id, rows)

    def _note_first(self, partition: Partition, rows: pa.Table) -> None:
        product = partition.product_id
        by = ["conn"]
        if _CHANNEL in rows.column_names:
            by.append(_CHANNEL)
        if product is None:
            if (column := self._product_columns.get(partition.table)) is None:
                return
            by.append(column)
        for (conn, *others), first_ns in _first_of_each(rows, by):
            channel = others.pop(0) if _CHANNEL in by else partition.table
            key = conn, channel, others.pop() if product is None else product
            if None in key:
                continue
            known = self.found.setdefault(key, Delivery(first_ns))
            known.first_ns = min(known.first_ns, first_ns)

    def _note_snapshots(self, product: str, rows: pa.Table) -> None:
        rows = rows.select(["conn", "event_type", "capture_ts"])
        given = rows.filter(pc.equal(rows["event_type"], _SNAPSHOT))
        given = given.append_column("at", given["capture_ts"].cast(pa.int64()))
        for (conn, at), _ in _first_of_each(given, ["conn", "at"]):
            self.found[conn, self._book_channel, product].snapshots.add(at)


def _first_of_each(rows: pa.Table, by: list[str]) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Yield the distinct values of columns, each with its earliest capture."""
    if not rows.num_rows:
        return
    if by == ["conn"] and len(names := rows["conn"].chunk(0).dictionary) == 1:
        # Mostly so, and rows come in captured order.
        yield (names[0].as_py(),), rows["capture_ts"][0].value
        return
    # Threads would cost more than they save.
    groups = rows.select([*by, "capture_ts"]).group_by(by, use_threads=False)
    first = groups.aggregate([("capture_ts", "min")])
    columns = [first[column].to_pylist() for column in by]
    yield from zip(
        zip(*columns, strict=True),
        first["capture_ts_min"].cast(pa.int64()).to_pylist(),
        strict=True,
    )

"""When each product was delivered on each connection, read off the rows themselves.

Nothing that the venue says of subscriptions is asked: what was delivered was delivered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from fluxforge._native import Partition, captures_with, first_captures
from fluxforge.feeds import Feed

_CHANNEL = "channel"  # of a table that several channels share
_SNAPSHOT = "snapshot"
_PRODUCT_COLUMNS = {"status": "id"}  # of tables without a product in their path


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
        feed: Whose tables they are.

    Attributes:
        found: By connection, channel and product.
    """

    def __init__(self, feed: Feed) -> None:
        self.found: dict[tuple[str, str, str], Delivery] = {}
        self._book_channel = feed.connection.level2_channel
        tables = orjson.loads(feed.spec)["tables"]
        self._shared = {
            name
            for name, table in tables.items()
            if any(column["name"] == _CHANNEL for column in table["columns"])
        }

    def add(self, partitions: Iterable[Partition]) -> None:
        """Take note of what partitions hold. Those of later stretches come later."""
        for partition in partitions:
            self._note_first(partition)
            if partition.table == self._book_channel:
                self._note_snapshots(partition)

    def _note_first(self, partition: Partition) -> None:
        table, product = partition.table, partition.product_id
        names = ["conn"]
        if table in self._shared:
            names.append(_CHANNEL)
        if product is None:
            if (column := _PRODUCT_COLUMNS.get(table)) is None:
                return
            names.append(column)
        for words, first_ns in first_captures(partition, by=names):
            conn, *others = words
            channel = others.pop(0) if table in self._shared else table
            of = others.pop() if product is None else product
            if conn is None or channel is None or of is None:
                continue
            known = self.found.setdefault((conn, channel, of), Delivery(first_ns))
            known.first_ns = min(known.first_ns, first_ns)

    def _note_snapshots(self, partition: Partition) -> None:
        given = captures_with(partition, column="event_type", word=_SNAPSHOT)
        for conn, at in given:
            key = conn, self._book_channel, partition.product_id or ""
            self.found[key].snapshots.add(at)

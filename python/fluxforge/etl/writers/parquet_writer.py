"""Writes partitions' rows as Parquet files, *parts*, on any storage.

A file's bytes depend on the rows and the recipe alone: fixed row groups, one thread, no clock and
no host. Its name carries the hash of its bytes, so a name that is taken already holds the same
part, written by whoever came first. A part counts only once a commit lists it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa

from fluxforge._native import Partition, encode_parts
from fluxforge.errors import StorageError
from fluxforge.etl.digest import Digest
from fluxforge.etl.recipe import Recipe
from fluxforge.etl.writers.encoding import Encoded, encode_early
from fluxforge.ledger import Part
from fluxforge.storage.base import StorageBackend

Footers = dict[str, list[tuple[str, str]]]
"""What the parts of each table say of themselves."""

_SHORT_HASH = 8
# Readers skip by time and place; nobody skips by price.
_WITH_STATISTICS = [
    *("capture_ts", "server_ts", "sequence_num", "record", "event_time", "time"),
    *("start_ts", "end_ts"),
]


class ParquetWriter:
    """Turns partitions into parts.

    Args:
        storage: The output storage.
        output_path: Key of the source's directory in the lake, as ``processed/coinbase``.
        recipe: What determines the bytes.
        threads: Partitions that are encoded at once. The bytes do not depend on it.
    """

    def __init__(
        self,
        storage: StorageBackend,
        *,
        output_path: str,
        recipe: Recipe,
        threads: int = 1,
    ) -> None:
        self._storage = storage
        self._output_path = output_path
        self._recipe = recipe
        self._threads = threads
        self._arrow_schemas: dict[str, str] = {}

    def write(self, partitions: Sequence[Partition], *, uid: str) -> tuple[Part, ...]:
        """Encode partitions and store them durably under their contents' names.

        Partitions are encoded side by side, one thread for each, which its bytes depend on. What is
        encoded is stored while the next is encoded, many at once, as syncs wait for the disk and
        PUTs for the network; little of it is held in memory.

        Args:
            partitions: Each the rows of one table, product and date, in captured order.
            uid: Identity of the segment they come from; kept in the footer.

        Returns:
            What to commit, in the partitions' order.

        Raises:
            StorageError: The storage refused, or other bytes lie under both of a part's names.
        """
        footers = self._footers(partitions, uid)
        parts: dict[int, Part] = {}
        created = self._storage.create_all(self._encoded(partitions, footers, parts))
        for (index, part), new in zip(list(parts.items()), created, strict=True):
            if not new:
                parts[index] = self._settle(partitions[index], footers, part)
        return tuple(parts[index] for index in range(len(partitions)))

    def _encoded(
        self, partitions: Sequence[Partition], footers: Footers, parts: dict[int, Part]
    ) -> Iterator[tuple[bytes, str]]:
        """Yield files and keys; note in ``parts`` what each is, by its partition's index."""

        def encode(some: Sequence[Partition]) -> list[Encoded]:
            return self._encode(some, footers)

        for index, (data, xxh3) in encode_early(partitions, encode, threads=self._threads):
            parts[index] = part = _part(partitions[index], data, xxh3)
            yield data, part.key(self._output_path)

    def _encode(self, partitions: Sequence[Partition], footers: Footers) -> list[Encoded]:
        return encode_parts(
            partitions,
            compression=self._recipe.compression,
            level=self._recipe.compression_level,
            rows_per_group=self._recipe.rows_per_group,
            timestamp_unit=self._recipe.timestamp_unit,
            statistics=_WITH_STATISTICS,
            footers=footers,
            threads=1,
        )

    def _footers(self, partitions: Sequence[Partition], uid: str) -> Footers:
        """What the parts of each table say of themselves; how many were inexact is added there."""
        ours = [
            ("fluxforge.segment_uid", uid),
            ("fluxforge.recipe", self._recipe.to_json().decode()),
        ]
        tables = {partition.table: partition for partition in partitions}
        return {
            table: [("ARROW:schema", self._arrow_schema(partition)), *ours]
            for table, partition in tables.items()
        }

    def _arrow_schema(self, partition: Partition) -> str:
        """The types that Parquet has no words for, as Arrow's own readers look for them."""
        if partition.table not in self._arrow_schemas:
            fields = [self._stored(field) for field in pa.schema(partition)]
            message = pa.schema(fields).serialize().to_pybytes()
            self._arrow_schemas[partition.table] = base64.b64encode(message).decode()
        return self._arrow_schemas[partition.table]

    def _stored(self, field: pa.Field) -> pa.Field:
        if self._recipe.timestamp_unit == "us" and field.type == pa.timestamp("ns", "UTC"):
            return field.with_type(pa.timestamp("us", "UTC"))
        return field

    def _settle(self, partition: Partition, footers: Footers, short: Part) -> Part:
        """Make sure of a part whose name was taken: by the same bytes, or it gets its long name."""
        long = replace(short, name=_name(short.min_capture_ns, short.xxh3))
        for part in (short, long):
            key = part.key(self._output_path)
            if part is long:
                # Encoded once more: it was not kept, as names are hardly ever taken by others.
                ((data, _),) = self._encode([partition], footers)
                if self._storage.create_new(data, key):
                    return part
            if self._holds(key, part):
                self._storage.ensure_durable(key)
                return part
        raise StorageError(
            f"{key} already exists with other bytes than its name says. It was damaged after it "
            "was written: move it away and run the ETL again."
        )

    def _holds(self, key: str, part: Part) -> bool:
        if self._storage.size(key) != part.bytes:
            return False
        return Digest([self._storage.read_bytes(key)]).exhaust() == (part.bytes, part.xxh3)


def _part(partition: Partition, data: bytes, xxh3: str) -> Part:
    return Part(
        table=partition.table,
        product_id=partition.product_id,
        date=partition.date,
        name=_name(partition.min_capture_ns, xxh3[:_SHORT_HASH]),
        rows=partition.num_rows,
        bytes=len(data),
        xxh3=xxh3,
        min_capture_ns=partition.min_capture_ns,
        max_capture_ns=partition.max_capture_ns,
    )


def _name(first_capture_ns: int, content_hash: str) -> str:
    hour = datetime.fromtimestamp(first_capture_ns // 10**9, tz=UTC)
    return f"part_{hour:%Y%m%dT%H}_{content_hash}.parquet"

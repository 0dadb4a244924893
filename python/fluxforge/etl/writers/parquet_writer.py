"""Writes partitions' rows as Parquet files, *parts*, on any storage.

A file's bytes depend on the rows and the recipe alone: fixed row groups, one thread, no clock and
no host. Its name carries the hash of its bytes, so a name that is taken already holds the same
part, written by whoever came first. A part counts only once a commit lists it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from fluxforge._native import Partition, Xxh3
from fluxforge.errors import StorageError
from fluxforge.etl.recipe import Recipe
from fluxforge.ledger import Part
from fluxforge.storage.base import StorageBackend

_SHORT_HASH = 8
# Readers skip by time and place; nobody skips by price.
_WITH_STATISTICS = {"capture_ts", "server_ts", "sequence_num", "record", "event_time", "time"}


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A part that is not stored yet."""

    data: bytes
    part: Part


class ParquetWriter:
    """Turns partitions into parts.

    Args:
        storage: The output storage.
        output_path: Key of the source's directory in the lake, as ``processed/coinbase``.
        recipe: What determines the bytes.
        threads: Partitions that are encoded at once; the machine's CPUs if not given. The bytes
            do not depend on it.
    """

    def __init__(
        self,
        storage: StorageBackend,
        *,
        output_path: str,
        recipe: Recipe,
        threads: int | None = None,
    ) -> None:
        self._storage = storage
        self._output_path = output_path
        self._recipe = recipe
        self._recipe_json = recipe.to_json()
        self._threads = threads or os.cpu_count() or 1

    def write(self, partitions: Sequence[Partition], *, uid: str) -> tuple[Part, ...]:
        """Encode partitions and store them durably under their contents' names.

        Partitions are encoded side by side, one thread for each, which its bytes depend on; then
        all are stored at once, as syncs wait for the disk and PUTs for the network.

        Args:
            partitions: Each the rows of one table, product and date, in captured order.
            uid: Identity of the segment they come from; kept in the footer.

        Returns:
            What to commit, in the partitions' order.

        Raises:
            StorageError: The storage refused, or other bytes lie under both of a part's names.
        """
        with ThreadPoolExecutor(self._threads, "encode") as pool:
            encoded = list(pool.map(partial(self._encode, uid=uid), partitions))
        objects = [(each.data, each.part.key(self._output_path)) for each in encoded]
        created = self._storage.create_all(objects)
        return tuple(
            each.part if new else self._settle(each)
            for each, new in zip(encoded, created, strict=True)
        )

    def _encode(self, partition: Partition, uid: str) -> _Encoded:
        table = pa.table(partition)
        sink = pa.BufferOutputStream()
        pq.write_table(
            table.replace_schema_metadata(self._footer(partition, uid)),
            sink,
            version="2.6",
            row_group_size=self._recipe.rows_per_group,
            # Numbers and times hardly repeat: a dictionary of them costs more than it saves.
            use_dictionary=[f.name for f in table.schema if pa.types.is_dictionary(f.type)],
            compression=self._recipe.compression,
            compression_level=self._recipe.compression_level,
            write_statistics=[n for n in table.column_names if n in _WITH_STATISTICS],
            # Nanoseconds are what the rows have: nothing to coerce.
            coerce_timestamps="us" if self._recipe.timestamp_unit == "us" else None,
            allow_truncated_timestamps=True,
        )
        data = sink.getvalue().to_pybytes()
        digest = Xxh3()
        digest.update(data)
        part = Part(
            table=partition.table,
            product_id=partition.product_id,
            date=partition.date,
            name=_name(partition.min_capture_ns, digest.hexdigest()[:_SHORT_HASH]),
            rows=partition.num_rows,
            bytes=len(data),
            xxh3=digest.hexdigest(),
            min_capture_ns=partition.min_capture_ns,
            max_capture_ns=partition.max_capture_ns,
        )
        return _Encoded(data, part)

    def _footer(self, partition: Partition, uid: str) -> dict[bytes, bytes]:
        return {
            b"fluxforge.segment_uid": uid.encode(),
            b"fluxforge.recipe": self._recipe_json,
            b"fluxforge.inexact": str(partition.inexact).encode(),
        }

    def _settle(self, encoded: _Encoded) -> Part:
        """Make sure of a part whose name was taken: by the same bytes, or it gets its long name."""
        long_name = _name(encoded.part.min_capture_ns, encoded.part.xxh3)
        for part in (encoded.part, replace(encoded.part, name=long_name)):
            key = part.key(self._output_path)
            if part.name == long_name and self._storage.create_new(encoded.data, key):
                return part
            size = self._storage.size(key)
            if size == part.bytes and self._storage.read_bytes(key) == encoded.data:
                self._storage.ensure_durable(key)
                return part
        raise StorageError(
            f"{key} already exists with other bytes than its name says. It was damaged after it "
            "was written: move it away and run the ETL again."
        )


def _name(first_capture_ns: int, content_hash: str) -> str:
    hour = datetime.fromtimestamp(first_capture_ns // 10**9, tz=UTC)
    return f"part_{hour:%Y%m%dT%H}_{content_hash}.parquet"

"""Writes one partition's rows as one Parquet file, a *part*, on any storage.

The file's bytes depend on the rows and the recipe alone: fixed row groups, one thread, no clock
and no host. Its name carries the hash of its bytes, so a name that is taken already holds the
same part, written by whoever came first. A part counts only once a commit lists it.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from fluxforge._native import Partition, Xxh3
from fluxforge.errors import StorageError
from fluxforge.etl.recipe import Recipe
from fluxforge.ledger import Part
from fluxforge.storage.base import StorageBackend
from fluxforge.storage.hive import partition_path

_SHORT_HASH = 8


class ParquetWriter:
    """Turns partitions into parts.

    Args:
        storage: The output storage.
        output_path: Key of the source's directory in the lake, as ``processed/coinbase``.
        recipe: What determines the bytes.
    """

    def __init__(self, storage: StorageBackend, *, output_path: str, recipe: Recipe) -> None:
        self._storage = storage
        self._output_path = output_path
        self._recipe = recipe

    def write(self, partition: Partition, *, uid: str) -> Part:
        """Encode a partition and store it durably under its content's name.

        Args:
            partition: Rows of one table, product and date, in captured order.
            uid: Identity of the segment they come from; kept in the footer.

        Raises:
            StorageError: The storage refused, or other bytes lie under both of the part's names.
        """
        data = self._encode(partition, uid)
        digest = Xxh3()
        digest.update(data)
        xxh3 = digest.hexdigest()
        return Part(
            table=partition.table,
            product_id=partition.product_id,
            date=partition.date,
            name=self._store(data, partition, xxh3),
            rows=partition.num_rows,
            bytes=len(data),
            xxh3=xxh3,
            min_capture_ns=partition.min_capture_ns,
            max_capture_ns=partition.max_capture_ns,
        )

    def _encode(self, partition: Partition, uid: str) -> bytes:
        table = pa.table(partition).combine_chunks()
        dictionaries = [f.name for f in table.schema if pa.types.is_dictionary(f.type)]
        footer = {
            b"fluxforge.segment_uid": uid.encode(),
            b"fluxforge.recipe": self._recipe.to_json(),
            b"fluxforge.inexact": str(partition.inexact).encode(),
        }
        sink = pa.BufferOutputStream()
        pq.write_table(
            table.replace_schema_metadata(footer),
            sink,
            version="2.6",
            row_group_size=self._recipe.rows_per_group,
            use_dictionary=dictionaries,
            compression=self._recipe.compression,
            compression_level=self._recipe.compression_level,
            # Nanoseconds are what the rows have: nothing to coerce.
            coerce_timestamps="us" if self._recipe.timestamp_unit == "us" else None,
            allow_truncated_timestamps=True,
        )
        encoded: bytes = sink.getvalue().to_pybytes()
        return encoded

    def _store(self, data: bytes, partition: Partition, xxh3: str) -> str:
        """Store under the short name, or the long one where another content has the short."""
        directory = partition_path(
            f"{self._output_path}/{partition.table}", partition.product_id, partition.date
        )
        first_capture = datetime.fromtimestamp(partition.min_capture_ns // 10**9, tz=UTC)
        for content_hash in (xxh3[:_SHORT_HASH], xxh3):
            name = f"part_{first_capture:%Y%m%dT%H}_{content_hash}.parquet"
            key = f"{directory}/{name}"
            if self._storage.create_new(data, key):
                return name
            if self._storage.size(key) == len(data) and self._storage.read_bytes(key) == data:
                self._storage.ensure_durable(key)
                return name
        raise StorageError(
            f"{key} already exists with other bytes than its name says. It was damaged after it "
            "was written: move it away and run the ETL again."
        )

"""Reads a lake back with the libraries that users have, as rows that the oracle compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds

import oracle

TIMES = {"server_ts", "event_time", "time"}


def directory(data_dir: Path, table: str) -> Path:
    """Where a table's partitions lie."""
    return data_dir / "processed" / "coinbase" / table


def with_polars(data_dir: Path, table: str) -> Iterator[oracle.Row]:
    """Rows as polars reads the directory, in the oracle's columns."""
    frame = pl.scan_parquet(
        directory(data_dir, table) / "**" / "*.parquet",
        hive_schema=_partitions(table, pl.String, pl.Date),
    )
    columns = [
        pl.col(name).dt.epoch("ns" if name in TIMES else "s")
        if name in TIMES | {"start"}
        else pl.col(name)
        for name in oracle.COLUMNS[table]
    ]
    return frame.select(columns).collect().iter_rows()


def with_pyarrow(data_dir: Path, table: str) -> Iterator[oracle.Row]:
    """Rows as pyarrow reads the directory, in the oracle's columns."""
    schema = pa.schema(_partitions(table, pa.string(), pa.date32()).items())
    dataset = ds.dataset(
        directory(data_dir, table), partitioning=ds.partitioning(schema, flavor="hive")
    )
    read = dataset.to_table(columns=list(oracle.COLUMNS[table]))
    columns = [_plain(name, read.column(name)) for name in oracle.COLUMNS[table]]
    return zip(*columns, strict=True)


def with_duckdb(data_dir: Path, table: str, columns: list[str]) -> Iterator[oracle.Row]:
    """Rows as DuckDB reads the directory, in the given columns."""
    files = directory(data_dir, table) / "**" / "*.parquet"
    query = f"SELECT {', '.join(columns)} FROM read_parquet('{files}', hive_partitioning = true)"
    with duckdb.connect() as connection:
        return iter(connection.sql(query).fetchall())


def counters(data_dir: Path) -> dict[str, Counter[oracle.Row]]:
    """The multiset of rows of every table, by polars."""
    return {
        table: Counter(with_polars(data_dir, table))
        for table in oracle.COLUMNS
        if directory(data_dir, table).is_dir()
    }


def _partitions(table: str, text: object, date: object) -> dict[str, object]:
    product = {} if table == "status" else {"product_id": text}
    return product | {"date": date}


def _plain(name: str, column: pa.ChunkedArray) -> list[object]:
    if name in TIMES:
        return column.cast(pa.int64()).to_pylist()
    if name == "start":
        return column.cast(pa.timestamp("s", tz="UTC")).cast(pa.int64()).to_pylist()
    return column.to_pylist()

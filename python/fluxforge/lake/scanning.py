"""Reading the lake: whole segments or none.

A part counts only if a commit lists it, so ``scan`` opens the parts that commits name instead of
listing directories: a segment is seen whole or not at all, also while an ETL runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from os import PathLike, fspath
from typing import TYPE_CHECKING

from fluxforge._native import SegmentParser
from fluxforge.config import FluxForgeConfig, StorageConfig
from fluxforge.errors import FeedError
from fluxforge.feeds import load_feed
from fluxforge.ledger import Ledger, Part
from fluxforge.ledger.coverage import COLUMNS, COVERAGE
from fluxforge.storage.base import StorageBackend
from fluxforge.storage.factory import (
    create_storage_backend,
    get_commits_path,
    get_etl_output_path,
)

if TYPE_CHECKING:
    import polars as pl

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def scan(
    source: str | PathLike[str] | FluxForgeConfig,
    table: str,
    *,
    products: Collection[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    feed: str = "coinbase",
) -> pl.LazyFrame:
    """Scan a table of the lake.

    Args:
        source: The data directory (local path), or a configuration for anything else.
        table: Table name, as ``level2``; ``coverage`` gives what each segment proves by itself
            (``fluxforge.lake.read_coverage`` joins it).
        products: Keep these products only; None keeps all. Of ``coverage``, rows of whole
            connections stay, as they speak of every product.
        start: Keep rows captured at or after this time; must carry a time zone. Of ``coverage``,
            rows that do not end before it.
        end: Keep rows captured before this time; must carry a time zone. Of ``coverage``, rows
            that begin before it.
        feed: The feed whose lake to read.

    Returns:
        A lazy frame with the table's columns, then product_id (where the table has one) and
        date. Rows come by segment and partition; sort by conn and sequence_num, or by
        capture_ts, for the captured order. Where the lake was written under several
        ``etl.numbers`` or ``etl.timestamp_unit``, columns get the type that holds them all.

    Raises:
        FeedError: The feed has no such table.
        TypeError: ``products`` is a string.
        ValueError: A time without a time zone.
    """
    import polars as pl  # noqa: PLC0415 - imported when used

    if isinstance(products, str):
        raise TypeError(f"products={products!r} is one name; give a list, as [{products!r}]")
    storage, output_path, ledger = open_lake(source, feed)
    start_ns, end_ns = _to_ns(start, "start"), _to_ns(end, "end")

    empty = _empty(table, feed)
    # Parts of one numbers and timestamp policy have one schema.
    keys: dict[tuple[str, str], list[str]] = {}
    for commit in ledger.commits():
        policy = commit.recipe["numbers"], commit.recipe["timestamp_unit"]
        parts: Iterable[Part] = (part for part in commit.parts if part.table == table)
        if table != COVERAGE:
            parts = _prune(parts, products, start_ns, end_ns)
        wanted = [part.key(output_path) for part in parts]
        if wanted:
            keys.setdefault(policy, []).extend(wanted)
    if not keys:
        return empty
    partitions = {
        name: dtype
        for name, dtype in empty.collect_schema().items()
        if name == "date" or (name == "product_id" and table != COVERAGE)
    }
    frames = [
        pl.scan_parquet(
            [storage.get_full_path(key) for key in of_policy],
            glob=False,  # a directory named "[data]" is no pattern
            hive_partitioning=True,
            hive_schema=partitions,
            storage_options=storage.get_storage_options("polars") or None,
        )
        for of_policy in keys.values()
    ]
    frame = pl.concat(frames, how="vertical_relaxed") if len(frames) > 1 else frames[0]
    if table == COVERAGE:
        return _keep_coverage(frame, products, start_ns, end_ns)
    if start_ns is not None:
        frame = frame.filter(pl.col("capture_ts").dt.epoch("ns") >= start_ns)
    if end_ns is not None:
        frame = frame.filter(pl.col("capture_ts").dt.epoch("ns") < end_ns)
    return frame


def open_lake(
    source: str | PathLike[str] | FluxForgeConfig, feed: str
) -> tuple[StorageBackend, str, Ledger]:
    """Return a lake's storage, its directory's key in it and its ledger."""
    if isinstance(source, FluxForgeConfig):
        storage_config = source.etl_output_storage()
    else:
        storage_config = StorageConfig(base_dir=fspath(source))
    storage = create_storage_backend(storage_config)
    output_path = get_etl_output_path(storage_config, feed)
    return storage, output_path, Ledger(storage, path=get_commits_path(storage_config, feed))


def _keep_coverage(
    frame: pl.LazyFrame,
    products: Collection[str] | None,
    start_ns: int | None,
    end_ns: int | None,
) -> pl.LazyFrame:
    """Keep the spans that touch the time asked for; one without an end touches all that follows."""
    import polars as pl  # noqa: PLC0415 - imported when used

    if products is not None:
        product = pl.col("product_id")
        frame = frame.filter(product.is_null() | product.cast(pl.String).is_in(list(products)))
    if start_ns is not None:
        until = pl.col("end_ts")
        frame = frame.filter(until.is_null() | (until.dt.epoch("ns") >= start_ns))
    if end_ns is not None:
        frame = frame.filter(pl.col("start_ts").dt.epoch("ns") < end_ns)
    return frame


def _prune(
    parts: Iterable[Part],
    products: Collection[str] | None,
    start_ns: int | None,
    end_ns: int | None,
) -> Iterable[Part]:
    """Keep the parts that may hold a wanted row."""
    for part in parts:
        if products is not None and part.product_id not in products:
            continue
        if start_ns is not None and part.max_capture_ns < start_ns:
            continue
        if end_ns is not None and part.min_capture_ns >= end_ns:
            continue
        yield part


def _to_ns(moment: datetime | None, name: str) -> int | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"{name}={moment!r} has no time zone; use datetime(..., tzinfo=UTC)")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _empty(table: str, feed: str) -> pl.LazyFrame:
    """Return no rows with the table's columns."""
    import polars as pl  # noqa: PLC0415 - imported when used

    if table == COVERAGE:
        types = {
            "timestamp": pl.Datetime("ns", "UTC"),
            "integer": pl.Int64(),
            "dictionary": pl.Categorical(),
        }
        schema = {name: types[kind] for name, kind, _ in COLUMNS}
        return pl.LazyFrame(schema=schema | {"date": pl.Date()})
    tables = SegmentParser(load_feed(feed).spec).finish().tables
    if table not in tables:
        known = ", ".join(sorted([*tables, COVERAGE]))
        raise FeedError(f"{feed} has no table {table!r}; it has {known}.")
    frame = pl.DataFrame(tables[table]).lazy()
    return frame.with_columns(pl.col("date").cast(pl.Date))

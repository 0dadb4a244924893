"""Segment to Hive-partitioned zstd Parquet, by FluxForge and by what a user could pick instead.

Every engine gets explicit types, no inference, and writes level2, ticker and market_trades, each
partitioned by product and day. FluxForge alone also writes each row's place in the raw (``record``,
``item``), keeps the books, hashes raw and parts, syncs every file and directory, and publishes a
commit; its peers are spared all that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

LEVELS = {
    "side": "string",
    "event_time": "time",
    "price_level": "number",
    "new_quantity": "number",
}
TICKERS = {
    "product_id": "string",
    "price": "number",
    "volume_24_h": "number",
    "low_24_h": "number",
    "high_24_h": "number",
    "low_52_w": "number",
    "high_52_w": "number",
    "price_percent_chg_24_h": "number",
    "best_bid": "number",
    "best_bid_quantity": "number",
    "best_ask": "number",
    "best_ask_quantity": "number",
}
TRADES = {
    "product_id": "string",
    "trade_id": "string",
    "price": "number",
    "size": "number",
    "time": "time",
    "side": "string",
}
# Channel, the array whose objects become rows, their columns; the table has the last name.
TABLES: list[tuple[str, str, dict[str, str], str]] = [
    ("l2_data", "updates", LEVELS, "level2"),
    ("ticker", "tickers", TICKERS, "ticker"),
    ("market_trades", "trades", TRADES, "market_trades"),
]
PARTITION = ["product_id", "date"]


def fluxforge() -> Callable[[Path, Path, int], None]:
    from fluxforge.config import FluxForgeConfig
    from fluxforge.etl import ETLJob

    def run(_raw: Path, out: Path, _threads: int) -> None:
        # It uses the CPUs that the process may use.
        config = {"storage": {"base_dir": str(out)}, "etl": {"raw_retention": "keep"}}
        report = ETLJob(FluxForgeConfig.model_validate(config)).run_once()
        assert report.exit_code == 0
        (commit,) = report.committed
        assert commit.balance.rejected == 0

    return run


def offer_segment(raw: Path, out: Path) -> None:
    """Put a segment where capture would, in a lake that was swept today."""
    from fluxforge.ledger import Ledger
    from fluxforge.storage import LocalStorage

    ready = out / "raw" / "ready" / "coinbase"
    ready.mkdir(parents=True)
    (ready / "segment_20251203T14_00001.ndjson").hardlink_to(raw)
    Ledger(LocalStorage(out), path="processed/coinbase/_commits").mark_swept()


def duckdb_copy() -> Callable[[Path, Path, int], None]:
    import duckdb

    def run(raw: Path, out: Path, threads: int) -> None:
        with duckdb.connect(config={"threads": threads}) as db:
            db.execute("SET preserve_insertion_order=true")
            for table, select in _duckdb_tables(db, raw):
                db.execute(
                    f"COPY ({select}) TO '{out / table}' (FORMAT parquet, COMPRESSION zstd, "
                    f"PARTITION_BY (product_id, date))"
                )

    return run


def duckdb_dataset() -> Callable[[Path, Path, int], None]:
    import duckdb
    import pyarrow as pa

    def run(raw: Path, out: Path, threads: int) -> None:
        pa.set_cpu_count(threads)
        with duckdb.connect(config={"threads": threads}) as db:
            for table, select in _duckdb_tables(db, raw):
                _write_dataset(db.sql(select).to_arrow_table(), out / table)

    return run


def _duckdb_tables(db: Any, raw: Path) -> list[tuple[str, str]]:
    arrays = ", ".join(
        f"{array} STRUCT({', '.join(f'{name} VARCHAR' for name in columns)})[]"
        for _, array, columns, _ in TABLES
    )
    data = (
        "STRUCT(channel VARCHAR, timestamp VARCHAR, sequence_num BIGINT, events "
        f"STRUCT(type VARCHAR, product_id VARCHAR, {arrays})[])"
    )
    db.execute(
        "CREATE TEMP TABLE frames AS SELECT * FROM read_ndjson("
        f"'{raw}', columns={{capture_ts: 'VARCHAR', conn: 'VARCHAR', data: '{data}'}})"
    )
    time = "CAST(rtrim({}, 'Z') AS TIMESTAMP_NS)"
    casts = {"time": time, "number": "CAST({} AS DOUBLE)", "string": "{}"}
    selects = []
    for channel, array, columns, table in TABLES:
        cells = [f"{casts[kind].format(f'r.{name}')} AS {name}" for name, kind in columns.items()]
        if "product_id" not in columns:
            cells.append("product_id")
        frames = (
            f"SELECT {time.format('capture_ts')} AS capture_ts, "
            f"{time.format('data.timestamp')} AS server_ts, conn, data.sequence_num, "
            f"unnest(data.events) AS e FROM frames WHERE data.channel = '{channel}'"
        )
        events = (
            "SELECT capture_ts, server_ts, conn, sequence_num, e.type AS event_type, e.product_id, "
            f"unnest(e.{array}) AS r FROM ({frames})"
        )
        rows = (
            "SELECT capture_ts, server_ts, conn, sequence_num, event_type, "
            f"{', '.join(cells)}, CAST(capture_ts AS DATE) AS date FROM ({events})"
        )
        selects.append((table, rows))
    return selects


def polars_sink() -> Callable[[Path, Path, int], None]:
    import polars as pl

    names = {
        array: pl.List(pl.Struct(dict.fromkeys(columns, pl.String)))
        for _, array, columns, _ in TABLES
    }
    event = pl.Struct({"type": pl.String, "product_id": pl.String, **names})
    data = {"channel": pl.String, "timestamp": pl.String, "sequence_num": pl.Int64}
    schema = {
        "capture_ts": pl.String,
        "conn": pl.String,
        "data": pl.Struct({**data, "events": pl.List(event)}),
    }

    def time(name: str) -> pl.Expr:
        return pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="ns")

    def run(raw: Path, out: Path, _threads: int) -> None:
        frames = pl.read_ndjson(raw, schema=schema).unnest("data")
        for channel, array, columns, table in TABLES:
            rows = (
                frames.lazy()
                .filter(pl.col("channel") == channel)
                .select(
                    time("capture_ts"),
                    time("timestamp").alias("server_ts"),
                    "conn",
                    "sequence_num",
                    "events",
                )
                .explode("events", empty_as_null=False)
                .unnest("events")
                .rename({"type": "event_type"})
            )
            if "product_id" in columns:
                rows = rows.drop("product_id")
            rows = (
                rows.drop([other for _, other, _, _ in TABLES if other != array])
                .explode(array, empty_as_null=False)
                .unnest(array)
                .with_columns(
                    *(
                        pl.col(name).cast(pl.Float64)
                        for name, k in columns.items()
                        if k == "number"
                    ),
                    *(time(name) for name, kind in columns.items() if kind == "time"),
                    pl.col("capture_ts").dt.date().alias("date"),
                )
            )
            rows.sink_parquet(
                pl.PartitionBy(out / table, key=PARTITION, include_key=False),
                compression="zstd",
                mkdir=True,
            )

    return run


def pyarrow_dataset() -> Callable[[Path, Path, int], None]:
    import pyarrow as pa
    from pyarrow import json

    strings = {
        array: pa.list_(pa.struct({name: _arrow(kind) for name, kind in columns.items()}))
        for _, array, columns, _ in TABLES
    }
    event = pa.struct({"type": pa.string(), "product_id": pa.string(), **strings})
    data = {"channel": pa.string(), "timestamp": _arrow("time"), "sequence_num": pa.int64()}
    schema = pa.schema(
        {
            "capture_ts": _arrow("time"),
            "conn": pa.string(),
            "data": pa.struct({**data, "events": pa.list_(event)}),
        }
    )
    options = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")

    def run(raw: Path, out: Path, threads: int) -> None:
        pa.set_cpu_count(threads)
        read = json.ReadOptions(use_threads=threads > 1, block_size=8 << 20)
        _flatten_and_write(json.read_json(raw, read, options), out)

    return run


def orjson_dataset() -> Callable[[Path, Path, int], None]:
    import orjson
    import pyarrow as pa

    def run(raw: Path, out: Path, threads: int) -> None:
        pa.set_cpu_count(threads)
        columns: dict[str, dict[str, list[Any]]] = {}
        wanted = {}
        for channel, array, kinds, table in TABLES:
            names = ["capture_ts", "server_ts", "conn", "sequence_num", "event_type", *kinds]
            names += [] if "product_id" in kinds else ["product_id"]
            columns[table] = {name: [] for name in names}
            wanted[channel] = (array, kinds, columns[table])
        with raw.open("rb") as lines:
            for line in lines:
                frame = orjson.loads(line)
                data = frame.get("data")
                if data is not None and data["channel"] in wanted:
                    _append(frame, data, *wanted[data["channel"]])
        for _, _, kinds, table in TABLES:
            all_kinds = {"capture_ts": "time", "server_ts": "time", "sequence_num": "int", **kinds}
            arrays = {
                name: _typed(values, all_kinds.get(name, "string"))
                for name, values in columns[table].items()
            }
            columns[table].clear()
            _write_dataset(_dated(pa.table(arrays)), out / table)

    return run


def _append(
    frame: dict[str, Any],
    data: dict[str, Any],
    array: str,
    kinds: dict[str, str],
    into: dict[str, list[Any]],
) -> None:
    for event in data["events"]:
        rows = event[array]
        count = len(rows)
        into["capture_ts"] += [frame["capture_ts"]] * count
        into["server_ts"] += [data["timestamp"]] * count
        into["conn"] += [frame["conn"]] * count
        into["sequence_num"] += [data["sequence_num"]] * count
        into["event_type"] += [event["type"]] * count
        for name, kind in kinds.items():
            values = [row[name] for row in rows]
            into[name] += map(float, values) if kind == "number" else values
        if "product_id" not in kinds:
            into["product_id"] += [event["product_id"]] * count


def _typed(values: list[Any], kind: str) -> Any:
    import pyarrow as pa

    return pa.array(values).cast(_arrow("time")) if kind == "time" else pa.array(values)


def datafusion_dataset() -> Callable[[Path, Path, int], None]:
    import datafusion
    import pyarrow as pa

    arrays = {
        array: pa.list_(pa.struct(dict.fromkeys(columns, pa.string())))
        for _, array, columns, _ in TABLES
    }
    event = pa.struct({"type": pa.string(), "product_id": pa.string(), **arrays})
    data = {"channel": pa.string(), "timestamp": pa.string(), "sequence_num": pa.int64()}
    schema = pa.schema(
        {
            "capture_ts": pa.string(),
            "conn": pa.string(),
            "data": pa.struct({**data, "events": pa.list_(event)}),
        }
    )

    def run(raw: Path, out: Path, threads: int) -> None:
        pa.set_cpu_count(threads)
        config = datafusion.SessionConfig().with_target_partitions(threads)
        session = datafusion.SessionContext(config)
        # Its file scan reads .json names only.
        link = out / "raw.json"
        link.symlink_to(raw)
        session.register_json("frames", str(link), schema=schema)
        casts = {
            "time": "to_timestamp_nanos({})",
            "number": "CAST({} AS DOUBLE)",
            "string": "{}",
        }
        for channel, array, columns, table in TABLES:
            cells = [
                f"{casts[kind].format(f'''r['{name}']''')} AS {name}"
                for name, kind in columns.items()
            ]
            if "product_id" not in columns:
                cells.append("product_id")
            query = (
                "SELECT captured AS capture_ts, server_ts, conn, sequence_num, event_type, "
                f"{', '.join(cells)}, CAST(captured AS DATE) AS date FROM (SELECT captured, "
                "server_ts, conn, sequence_num, e['type'] AS event_type, e['product_id'] AS "
                f"product_id, unnest(e['{array}']) AS r FROM (SELECT to_timestamp_nanos(capture_ts)"
                " AS captured, to_timestamp_nanos(data['timestamp']) AS server_ts, conn, "
                "data['sequence_num'] AS sequence_num, unnest(data['events']) AS e FROM frames "
                f"WHERE data['channel'] = '{channel}'))"
            )
            _write_dataset(session.sql(query).to_arrow_table(), out / table)
        link.unlink()

    return run


def _arrow(kind: str) -> Any:
    import pyarrow as pa

    # pyarrow's JSON reader makes no float from a quoted number; it is cast afterwards.
    return pa.timestamp("ns", "UTC") if kind == "time" else pa.string()


def _flatten_and_write(frames: Any, out: Path) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    data = frames["data"]
    channels = pc.struct_field(data, "channel")
    for channel, array, kinds, table in TABLES:
        kept = frames.filter(pc.equal(channels, channel))
        kept = kept.combine_chunks()
        body = kept["data"].combine_chunks()
        events = pc.struct_field(body, "events")
        of_frame = pc.list_parent_indices(events)
        events = pc.list_flatten(events)
        rows = pc.struct_field(events, array)
        of_event = pc.list_parent_indices(rows)
        rows = pc.list_flatten(rows)
        frame = pc.take(of_frame, of_event)
        columns = {
            "capture_ts": pc.take(kept["capture_ts"].combine_chunks(), frame),
            "server_ts": pc.take(pc.struct_field(body, "timestamp"), frame),
            "conn": pc.take(kept["conn"].combine_chunks(), frame),
            "sequence_num": pc.take(pc.struct_field(body, "sequence_num"), frame),
            "event_type": pc.take(pc.struct_field(events, "type"), of_event),
            "product_id": pc.take(pc.struct_field(events, "product_id"), of_event),
        }
        for name, kind in kinds.items():
            values = pc.struct_field(rows, name)
            columns[name] = values.cast(pa.float64()) if kind == "number" else values
        _write_dataset(_dated(pa.table(columns)), out / table)


def _dated(table: Any) -> Any:
    import pyarrow as pa

    return table.append_column("date", table["capture_ts"].cast(pa.date32()))


def _write_dataset(table: Any, out: Path) -> None:
    import pyarrow as pa
    from pyarrow import dataset

    dataset.write_dataset(
        table,
        out,
        format="parquet",
        file_options=dataset.ParquetFileFormat().make_write_options(compression="zstd"),
        partitioning=dataset.partitioning(
            pa.schema([("product_id", pa.string()), ("date", pa.date32())]), flavor="hive"
        ),
        use_threads=pa.cpu_count() > 1,
        max_partitions=100_000,
        max_open_files=900,
    )


# What must be there before an engine starts; not measured.
PREPARED: dict[str, Callable[[Path, Path], None]] = {"fluxforge": offer_segment}

ENGINES: dict[str, Callable[[], Callable[[Path, Path, int], None]]] = {
    "fluxforge": fluxforge,
    "duckdb COPY": duckdb_copy,
    "duckdb + dataset": duckdb_dataset,
    "datafusion + dataset": datafusion_dataset,
    "pyarrow.json + dataset": pyarrow_dataset,
    "polars": polars_sink,
    "orjson + dataset": orjson_dataset,
}

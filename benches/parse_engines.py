"""The same work done by whatever else a user could pick: NDJSON to three flat, typed Arrow tables.

Each engine is told the schema, parses the file once and returns ``level2``, ``ticker`` and
``market_trades`` as Arrow: times as timestamps, decimals as float64, one row per update. None of
them validates, verifies, partitions or counts as FluxForge does; what they lack is not added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

Tables = dict[str, Any]
Engine = Callable[[str, int], Tables]

TIME = pa.timestamp("ns", "UTC")
TICKER = [
    "price", "volume_24_h", "low_24_h", "high_24_h", "low_52_w", "high_52_w",
    "price_percent_chg_24_h", "best_bid", "best_bid_quantity", "best_ask", "best_ask_quantity",
]  # fmt: skip
# table → (channel, array, product in the row, text columns, time columns, number columns)
SHAPES: dict[str, tuple[str, str, bool, list[str], list[str], list[str]]] = {
    "level2": ("l2_data", "updates", False, ["side"], ["event_time"],
               ["price_level", "new_quantity"]),
    "ticker": ("ticker", "tickers", True, [], [], TICKER),
    "market_trades": ("market_trades", "trades", True, ["trade_id", "side"], ["time"],
                      ["price", "size"]),
}  # fmt: skip


def _struct(names: list[str]) -> pa.DataType:
    return pa.struct([(name, pa.string()) for name in names])


def _fields(table: str) -> list[str]:
    _, _, in_row, texts, times, numbers = SHAPES[table]
    return [*(["product_id"] if in_row else []), *texts, *times, *numbers]


SCHEMA = pa.schema(
    [
        ("capture_ts", pa.string()),
        ("conn", pa.string()),
        ("data", pa.struct([
            ("channel", pa.string()), ("timestamp", pa.string()), ("sequence_num", pa.int64()),
            ("events", pa.list_(pa.struct([
                ("type", pa.string()), ("product_id", pa.string()),
                *((shape[1], pa.list_(_struct(_fields(t)))) for t, shape in SHAPES.items()),
            ]))),
        ])),
    ]
)  # fmt: skip


def fluxforge(path: str, threads: int) -> Tables:
    from fluxforge import parse_segment

    return dict(parse_segment(path, threads=threads).tables)


def pyarrow_json(path: str, threads: int) -> Tables:
    import pyarrow.json as pj

    pa.set_cpu_count(threads)
    options = pj.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="ignore")
    read = pj.ReadOptions(use_threads=threads > 1, block_size=8 << 20)
    return _flatten(pj.read_json(path, read_options=read, parse_options=options))


def _flatten(whole: pa.Table) -> Tables:
    channel = pc.struct_field(whole["data"], "channel")
    tables: Tables = {}
    for name, (wanted, array, in_row, texts, times, numbers) in SHAPES.items():
        lines = whole.filter(pc.equal(channel, wanted)).combine_chunks()
        events = pc.struct_field(lines["data"], "events").combine_chunks()
        rows = pc.struct_field(pc.list_flatten(events), array)
        parent = pc.list_parent_indices(events)
        event = pc.list_parent_indices(rows)
        line = pc.take(parent, event)
        row = pc.list_flatten(rows)
        columns = {
            "capture_ts": pc.take(lines["capture_ts"], line).cast(TIME),
            "conn": pc.take(lines["conn"], line),
            "server_ts": pc.take(pc.struct_field(lines["data"], "timestamp"), line).cast(TIME),
            "sequence_num": pc.take(pc.struct_field(lines["data"], "sequence_num"), line),
            "event_type": pc.take(pc.struct_field(pc.list_flatten(events), "type"), event),
            "product_id": pc.struct_field(row, "product_id") if in_row
            else pc.take(pc.struct_field(pc.list_flatten(events), "product_id"), event),
            **{c: pc.struct_field(row, c) for c in texts},
            **{c: pc.struct_field(row, c).cast(TIME) for c in times},
            **{c: pc.struct_field(row, c).cast(pa.float64()) for c in numbers},
        }  # fmt: skip
        tables[name] = pa.table(columns)
    return tables


def duckdb(path: str, threads: int) -> Tables:
    import duckdb as db

    con = db.connect(config={"threads": threads, "preserve_insertion_order": True})
    con.execute("SET TimeZone = 'UTC'")
    arrays = ", ".join(
        f"{shape[1]} STRUCT({', '.join(f'{c} VARCHAR' for c in _fields(t))})[]"
        for t, shape in SHAPES.items()
    )
    data = (
        "STRUCT(channel VARCHAR, timestamp VARCHAR, sequence_num BIGINT, "
        f"events STRUCT(type VARCHAR, product_id VARCHAR, {arrays})[])"
    )
    con.execute(
        "CREATE TEMP TABLE e AS SELECT capture_ts, conn, data.channel c, data.timestamp s, "
        "data.sequence_num n, unnest(data.events) e FROM read_json(?, "
        f"format='newline_delimited', maximum_object_size=67108864, columns={{capture_ts: "
        f"'VARCHAR', conn: 'VARCHAR', data: '{data}'}})",
        [path],
    )
    tables: Tables = {}
    for name, (channel, array, *_) in SHAPES.items():
        tables[name] = con.sql(
            f"SELECT {_select(name)} FROM "
            f"(SELECT *, unnest(e.{array}) r FROM e WHERE c = '{channel}')"
        ).to_arrow_table()
    return tables


def _select(table: str) -> str:
    _, _, in_row, texts, times, numbers = SHAPES[table]
    columns = [
        "capture_ts::TIMESTAMPTZ capture_ts", "conn", "s::TIMESTAMPTZ server_ts", "n sequence_num",
        "e.type event_type", "r.product_id" if in_row else "e.product_id",
        *(f"r.{c} {c}" for c in texts),
        *(f"r.{c}::TIMESTAMPTZ {c}" for c in times),
        *(f"r.{c}::DOUBLE {c}" for c in numbers),
    ]  # fmt: skip
    return ", ".join(columns)


def datafusion(path: str, threads: int) -> Tables:
    import datafusion as df

    con = df.SessionContext(df.SessionConfig().with_target_partitions(threads))
    con.register_json("raw", path, schema=SCHEMA, file_extension=".ndjson")
    # Its own unnest of nested lists is many times slower than pyarrow's.
    return _flatten(con.table("raw").to_arrow_table())


def polars(path: str, threads: int) -> Tables:  # noqa: ARG001 - told by the environment
    import polars as pl  # the thread pool is sized by POLARS_MAX_THREADS, set by the runner

    # Its own explode of nested lists is several times slower than pyarrow's.
    schema = pl.from_arrow(SCHEMA.empty_table()).schema
    return _flatten(pl.read_ndjson(path, schema=schema).to_arrow())


def _python(loads: Callable[[bytes], Any]) -> Engine:
    def parse(path: str, threads: int) -> Tables:  # noqa: ARG001 - it has one
        columns: dict[str, dict[str, list[Any]]] = {
            t: {c: [] for c in ("capture_ts", "conn", "timestamp", "sequence_num", "type",
                                "product_id", *_fields(t))}
            for t in SHAPES
        }  # fmt: skip
        tables = {shape[0]: (t, shape[1], shape[2]) for t, shape in SHAPES.items()}
        with open(path, "rb") as file:  # noqa: PTH123 - the quickest way to lines
            for text in file:
                line = loads(text)
                data = line["data"]
                if (known := tables.get(data["channel"])) is None:
                    continue
                table, array, in_row = known
                out = columns[table]
                for event in data["events"]:
                    rows = event[array]
                    count = len(rows)
                    out["capture_ts"] += [line["capture_ts"]] * count
                    out["conn"] += [line["conn"]] * count
                    out["timestamp"] += [data["timestamp"]] * count
                    out["sequence_num"] += [data["sequence_num"]] * count
                    out["type"] += [event["type"]] * count
                    if not in_row:
                        out["product_id"] += [event["product_id"]] * count
                    for name in _fields(table):
                        out[name] += [row[name] for row in rows]
        result: Tables = {}
        for table, lists in columns.items():
            arrays = {name: pa.array(values) for name, values in lists.items()}
            for name in ("capture_ts", "timestamp", *SHAPES[table][4]):
                arrays[name] = arrays[name].cast(TIME)
            for name in SHAPES[table][5]:
                arrays[name] = arrays[name].cast(pa.float64())
            result[table] = pa.table(arrays)
        return result

    return parse


def orjson(path: str, threads: int) -> Tables:
    import orjson as library

    return _python(library.loads)(path, threads)


def msgspec(path: str, threads: int) -> Tables:
    import msgspec as library

    return _python(library.json.Decoder().decode)(path, threads)


ENGINES: dict[str, Engine] = {
    "fluxforge": fluxforge,
    "duckdb": duckdb,
    "datafusion": datafusion,
    "pyarrow.json": pyarrow_json,
    "polars": polars,
    "msgspec": msgspec,
    "orjson": orjson,
}
# They have no threads to give.
SINGLE = {"msgspec", "orjson"}

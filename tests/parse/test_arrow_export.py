"""Any Arrow library reads what the parser made, without a copy."""

from __future__ import annotations

import gc
from datetime import date

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from fluxforge._native import ParsedSegment
from fluxforge.etl.readers import parse_segment
from segment_bytes import envelope, level2, update


@pytest.fixture
def parsed() -> ParsedSegment:
    days = ["2026-04-07T23:59:59Z", "2026-04-08T00:00:00Z"]
    frames = [
        envelope(
            level2(update(price_level=f"{n}.5"), update(side="offer"), product_id=product),
            capture_ts=days[n % 2],
            conn=f"c{n % 3}",
        )
        for n, product in enumerate(["ETH-USD", "BTC-USD", "A-B"] * 4)
    ]
    return parse_segment(b"".join(frames))


def test_partitions_come_in_the_order_of_table_product_and_day(parsed: ParsedSegment) -> None:
    places = [(p.table, p.product_id, p.date) for p in parsed.partitions]
    products = ["A-B", "BTC-USD", "ETH-USD"]
    assert places == [("level2", p, d) for p in products for d in ("2026-04-07", "2026-04-08")]
    for partition in parsed.partitions:
        records = pa.table(partition).column("record").to_pylist()
        assert records == sorted(records)
        assert partition.num_rows == len(records)
        assert {"product_id", "date"}.isdisjoint(pa.schema(partition).names)


def test_a_table_is_its_partitions_with_product_and_date(parsed: ParsedSegment) -> None:
    native = parsed.tables["level2"]
    table = pa.table(native)
    assert (len(native), native.num_rows, table.num_rows) == (24, 24, 24)
    assert native.column_names == table.schema.names
    whole = table.drop_columns(["product_id", "date"])
    assert whole == pa.concat_tables([pa.table(p) for p in parsed.partitions])
    wanted = [(p.product_id, date.fromisoformat(p.date)) for p in parsed.partitions for _ in "1234"]
    found = zip(
        table.column("product_id").to_pylist(), table.column("date").to_pylist(), strict=True
    )
    assert list(found) == wanted
    assert all(batch.validate(full=True) is None for batch in table.to_batches())


def test_two_readers_share_one_memory(parsed: ParsedSegment) -> None:
    def addresses() -> list[int]:
        column = pa.table(parsed.tables["level2"]).column("price_level")
        return [chunk.buffers()[1].address for chunk in column.chunks]

    partitions = [
        pa.table(p).column("price_level").chunk(0).buffers()[1].address for p in parsed.partitions
    ]
    assert addresses() == addresses() == partitions


def test_arrow_outlives_the_segment(parsed: ParsedSegment) -> None:
    table = pa.table(parsed.tables["level2"])
    sums = pl.DataFrame(table)["price_level"].sum()
    text = str(table)
    del parsed
    gc.collect()
    assert str(table) == text
    assert pl.DataFrame(table)["price_level"].sum() == sums


def test_an_unused_capsule_is_freed_quietly(parsed: ParsedSegment) -> None:
    for _ in range(3):
        parsed.tables["level2"].__arrow_c_stream__()
        parsed.tables["level2"].__arrow_c_schema__()
    gc.collect()


def test_polars_and_duckdb_see_the_same_rows(parsed: ParsedSegment) -> None:
    level2_table = parsed.tables["level2"]  # duckdb finds it by its name
    arrow = pa.table(level2_table)
    frame = pl.DataFrame(level2_table)
    assert (
        frame.to_arrow().column("price_level").to_pylist()
        == arrow.column("price_level").to_pylist()
    )
    assert frame["capture_ts"].dtype == pl.Datetime("ns", "UTC")
    assert frame["product_id"].cast(pl.String).to_list() == arrow.column("product_id").to_pylist()
    assert isinstance(pl.from_arrow(level2_table), pl.DataFrame | pl.Series)
    query = "select count(*), sum(price_level), count(distinct product_id) from level2_table"
    assert duckdb.connect().execute(query).fetchall() == [(24, frame["price_level"].sum(), 3)]


def test_empty_tables_have_their_columns() -> None:
    for name, native in parse_segment(b"").tables.items():
        assert pl.DataFrame(native).columns == native.column_names, name
        assert pa.table(native).num_rows == 0

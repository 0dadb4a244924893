"""Any product_id becomes one path component, and every reader gives the original back."""

from __future__ import annotations

from pathlib import PurePosixPath

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxforge.errors import InvalidKeyError
from fluxforge.storage import LocalStorage
from fluxforge.storage.hive import hive_escape, partition_path
from fluxforge.storage.keys import is_valid_key

HOSTILE = [
    "a/b",
    "../../x",
    "..",
    ".",
    ".hidden",
    "%41",
    "%",
    "%2",
    "%%41",
    "+",
    "a+b c",
    "é",
    "e\u0301",
    "🚀",
    "a=b",
    "product_id=BTC",
    " spaces ",
    "a\\b",
    "C:",
    "quote'\"`",
    "*?[a-z]{1,2}",
    "#fragment?query&x=1",
    "new\nline",
    "tab\tbell\x07",
    "nul\0nul",
    "~",
    "trailing.",
    "CON",
    "null",
    "__HIVE_DEFAULT_PARTITION",
    "_hidden",
    "123",
    "1e5",
    "2025-12-03",
    "true",
    "x" * 200,
]


def test_ordinary_products_stay_as_they_are():
    for product in ("BTC-USD", "BTC-PERP-INTX", "1INCH-USD", "00-USD"):
        assert hive_escape(product) == product
    assert partition_path("processed/coinbase/level2", "BTC-USD", "2025-12-03") == (
        "processed/coinbase/level2/product_id=BTC-USD/date=2025-12-03"
    )
    assert partition_path("t", None, "2025-12-03") == "t/date=2025-12-03"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """One file of one row for each hostile product, its number in the row."""
    root = tmp_path_factory.mktemp("lake")
    storage = LocalStorage(root)
    for number, product in enumerate(HOSTILE):
        directory = partition_path("level2", product, "2025-12-03")
        assert len(PurePosixPath(directory).parts) == 3
        sink = pa.BufferOutputStream()
        pa.parquet.write_table(pa.table({"number": [number]}), sink)
        storage.write_bytes(memoryview(sink.getvalue()), f"{directory}/part.parquet")
    assert len(list(root.rglob("*.parquet"))) == len(HOSTILE)
    return root / "level2"


def expected():
    return dict(enumerate(HOSTILE))


def test_pyarrow_reads_every_product_back(lake):
    schema = pa.schema({"product_id": pa.string(), "date": pa.string()})
    table = pa.dataset.dataset(
        lake, partitioning=pa.dataset.partitioning(schema, flavor="hive")
    ).to_table()
    found = dict(zip(table["number"].to_pylist(), table["product_id"].to_pylist(), strict=True))
    assert found == expected()


def test_polars_reads_every_product_back(lake):
    frame = pl.scan_parquet(
        lake, hive_schema={"product_id": pl.String, "date": pl.String}
    ).collect()
    assert dict(frame.select("number", "product_id").iter_rows()) == expected()


def test_duckdb_reads_every_product_back(lake):
    rows = duckdb.sql(
        f"SELECT number, product_id FROM read_parquet('{lake}/*/*/*.parquet', "
        "hive_partitioning = true, hive_types = {'product_id': VARCHAR, 'date': VARCHAR})"
    ).fetchall()
    assert dict(rows) == expected()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_is_one_harmless_component(value):
    escaped = hive_escape(value)
    assert escaped.isascii()
    assert not set(escaped) & set("/\\.~:=*?\0 ")
    assert is_valid_key(f"product_id={escaped}"[:255])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique=True))
def test_no_two_values_share_a_directory(values):
    assert len({hive_escape(value) for value in values}) == len(values)


@pytest.mark.parametrize(
    "product", ["", "__HIVE_DEFAULT_PARTITION__", "x" * 245, "/" * 82, "é" * 41, "\ud800"]
)
def test_what_no_directory_can_carry_is_refused(product):
    with pytest.raises(InvalidKeyError):
        partition_path("level2", product, "2025-12-03")


@pytest.mark.parametrize(
    "date", ["", "2025-13-01", "20251203", "2025-12-03/..", "../x", "2025-1-1"]
)
def test_a_date_is_a_date(date):
    with pytest.raises(InvalidKeyError):
        partition_path("level2", "BTC-USD", date)

"""Scanning: committed parts only, pruned by product and time, the same columns when empty."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import fluxforge
from fluxforge.errors import FeedError
from fluxforge.etl import ETLJob
from segments import CAPTURE_NS, level2, local, write_segment

FIRST = datetime(2025, 12, 3, 14, tzinfo=UTC)


@pytest.fixture
def config(tmp_path):
    """Two segments a day apart: three frames each, a millisecond apart."""
    config = local(tmp_path / "data")
    for day in range(2):
        frames = [
            level2(product, n, 1.0) for n, product in enumerate(("BTC-USD", "ETH-USD", "A/B"))
        ]
        write_segment(config, frames, capture_ns=CAPTURE_NS + day * 86_400 * 10**9)
    assert ETLJob(config).run_once().exit_code == 0
    return config


def test_partition_columns_come_back_as_they_went_in(config):
    frame = fluxforge.scan(config, "level2").collect()
    assert set(frame["product_id"]) == {"BTC-USD", "ETH-USD", "A/B"}
    assert set(frame["date"]) == {date(2025, 12, 3), date(2025, 12, 4)}


def test_products_are_pruned(config):
    frame = fluxforge.scan(config, "level2", products=["A/B", "ETH-USD"]).collect()
    assert set(frame["product_id"]) == {"A/B", "ETH-USD"}
    assert fluxforge.scan(config, "level2", products=[]).collect().height == 0


def test_times_are_half_open(config):
    step = timedelta(milliseconds=1)
    frame = fluxforge.scan(config, "level2", start=FIRST, end=FIRST + 2 * step).collect()
    assert frame["capture_ts"].to_list() == [FIRST, FIRST + step]
    later = fluxforge.scan(config, "level2", start=FIRST + 2 * step).collect()
    assert later.height == 4


def test_a_time_without_a_zone_is_refused(config):
    with pytest.raises(ValueError, match="has no time zone"):
        fluxforge.scan(config, "level2", start=datetime(2025, 12, 3))  # noqa: DTZ001 - the mistake


def test_each_table_has_its_own_rows(config):
    assert fluxforge.scan(config, "level2").collect().height == 6
    assert fluxforge.scan(config, "market_trades").collect().height == 0


def test_one_name_is_no_list_of_products(config):
    with pytest.raises(TypeError, match="give a list"):
        fluxforge.scan(config, "level2", products="BTC-USD")


def test_a_lake_written_under_two_policies_is_one_table(config):
    other = local(Path(config.storage.base_dir), numbers="decimal", timestamp_unit="us")
    write_segment(other, [level2("BTC-USD", 9, 2.5)], capture_ns=CAPTURE_NS + 2 * 86_400 * 10**9)
    assert ETLJob(other).run_once().exit_code == 0
    frame = fluxforge.scan(config, "level2", products=["BTC-USD"]).sort("capture_ts").collect()
    assert frame["price_level"].to_list() == [1.0, 1.0, 2.5]
    last = fluxforge.scan(config, "level2", start=FIRST + timedelta(days=2)).collect()
    assert last.height == 1


def test_a_part_that_no_commit_lists_is_not_seen(config):
    data_dir = Path(config.storage.base_dir)
    part = next((data_dir / "processed/coinbase/level2").rglob("*.parquet"))
    part.with_name("part_20251203T14_ffffffff.parquet").write_bytes(part.read_bytes())
    assert fluxforge.scan(data_dir, "level2").collect().height == 6


def test_an_empty_lake_has_the_same_columns(config, tmp_path):
    full = fluxforge.scan(config, "level2").collect_schema()
    empty = fluxforge.scan(tmp_path / "nowhere", "level2")
    assert empty.collect().height == 0
    assert dict(empty.collect_schema()) == dict(full)
    assert full["date"] == pl.Date


def test_a_table_that_is_not_there_names_those_that_are(config):
    with pytest.raises(FeedError, match="level2"):
        fluxforge.scan(config, "lvl2").collect()

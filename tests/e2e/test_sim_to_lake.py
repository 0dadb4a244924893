"""Simulator → ingest → ETL as real processes, and the lake read back with three libraries."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections import Counter

import duckdb
import pytest

import fluxforge
import lake_rows
import oracle
from processes import run, running, simulator, wait_until

CHANNELS = ("level2", "ticker", "ticker_batch", "market_trades", "candles", "status")
PRODUCTS = ("BTC-USD", "ETH-USD", "SOL-USD")


def ingest_options(url, data_dir):
    options = ["--url", url, "--data-dir", str(data_dir)]
    for product in PRODUCTS:
        options += ["--product", product]
    for channel in CHANNELS:
        options += ["--channel", channel]
    return options


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A few seconds of the simulator, recorded and sealed but not yet turned into Parquet."""
    home = tmp_path_factory.mktemp("recorded")
    journal, data_dir = home / "journal.ndjson", home / "data"
    options = ("--rate", "2000", "--products", ",".join(PRODUCTS))
    with simulator(*options, journal=journal) as (url, exchange):
        with running("fluxforge-ingest", *ingest_options(url, data_dir), cwd=home) as ingest:
            active = data_dir / "raw" / "active" / "coinbase"
            wait_until(
                lambda: sum(f.stat().st_size for f in active.glob("*.ndjson")) > 4_000_000,
                what=lambda: f"4 MB in {active}:\n{ingest.output}",
                alive=lambda: ingest.process.poll() is None,
            )
            assert ingest.stop(signal.SIGINT) == 0, ingest.output
        assert exchange.stop() == 0, exchange.output
    return home


@pytest.fixture(scope="module")
def lake(recorded, tmp_path_factory):
    """The same, turned into Parquet."""
    home = tmp_path_factory.mktemp("lake") / "home"
    shutil.copytree(recorded, home)
    done = run("fluxforge-etl", "--once", "--data-dir", str(home / "data"), cwd=home)
    assert done.returncode == 0, done.stderr
    return home


def test_every_row_reads_back_as_it_was_sent(lake):
    expected = oracle.expected_digests(oracle.journal_frames(lake / "journal.ndjson"))
    assert set(expected) == set(oracle.COLUMNS)
    for table, digest in expected.items():
        assert oracle.digest(lake_rows.with_polars(lake / "data", table)) == digest, table
        assert oracle.digest(lake_rows.with_pyarrow(lake / "data", table)) == digest, table


@pytest.mark.parametrize(
    ("table", "price", "quantity"),
    [
        ("level2", "price_level", "new_quantity"),
        ("ticker", "price", "best_bid_quantity"),
        ("market_trades", "price", "size"),
        ("candles", "close", "volume"),
    ],
)
def test_duckdb_reads_the_same_products_sequences_prices_and_quantities(
    lake, table, price, quantity
):
    columns = ["product_id", "sequence_num", price, quantity]
    expected = oracle.expected_rows(oracle.journal_frames(lake / "journal.ndjson"))[table]
    wanted = [oracle.COLUMNS[table].index(column) for column in columns]
    projected = (tuple(row[i] for i in wanted) for row in expected.elements())
    read = lake_rows.with_duckdb(lake / "data", table, columns)
    assert oracle.digest(read) == oracle.digest(projected)


def test_counts_per_channel_and_product_equal_the_journals(lake):
    expected = oracle.expected_counts(oracle.journal_frames(lake / "journal.ndjson"))
    by_table = Counter()
    for (channel, product), count in expected.items():
        by_table[oracle.TABLE_OF_CHANNEL[channel][0], product] += count
    read = Counter()
    for table, columns in oracle.COLUMNS.items():
        product = columns.index("id" if table == "status" else "product_id")
        read.update((table, row[product]) for row in lake_rows.with_pyarrow(lake / "data", table))
    assert read == by_table


def test_snapshots_are_told_from_updates_in_every_table(lake):
    """What a subscription repeats of the past, as trades, is not to be counted twice."""
    for table, columns in oracle.COLUMNS.items():
        rows = fluxforge.scan(lake / "data", table).select("event_type", "sequence_num").collect()
        kind = columns.index("event_type")
        sent = oracle.expected_rows(oracle.journal_frames(lake / "journal.ndjson"))[table]
        kinds = Counter(row[kind] for row in sent.elements())
        assert Counter(rows["event_type"].to_list()) == kinds
        assert kinds["snapshot"] > 0, table
    channels = fluxforge.scan(lake / "data", "ticker").collect()["channel"].unique().to_list()
    assert set(channels) == {"ticker", "ticker_batch"}


def test_scan_reads_what_the_directory_holds(lake):
    for table in oracle.COLUMNS:
        scanned = fluxforge.scan(lake / "data", table).collect()
        globbed = sum(1 for _ in lake_rows.with_polars(lake / "data", table))
        assert scanned.height == globbed


def test_layout_is_hive_and_names_carry_hour_and_hash(lake):
    parts = sorted((lake / "data" / "processed" / "coinbase" / "level2").rglob("*.parquet"))
    assert parts
    for part in parts:
        date = part.parent.name.removeprefix("date=")
        product = part.parent.parent.name.removeprefix("product_id=")
        assert product in PRODUCTS
        assert part.name.startswith(f"part_{date.replace('-', '')}T")
        assert len(part.stem.rpartition("_")[2]) == 8


def test_raw_is_archived_and_nothing_is_left_behind(lake):
    raw = lake / "data" / "raw"
    assert list(raw.glob("active/coinbase/*.ndjson")) == []
    assert list(raw.glob("ready/coinbase/*")) == []
    assert list(raw.glob("processing/coinbase/*")) == []
    archived = list(raw.glob("archive/coinbase/date=*/segment_*.ndjson.zst"))
    commits = list((lake / "data" / "processed" / "coinbase" / "_commits").glob("*.json"))
    assert len(archived) == len(commits) >= 1


def test_the_books_balance(lake):
    sent = sum(1 for _ in oracle.journal_frames(lake / "journal.ndjson"))
    frames = 0
    for path in (lake / "data" / "processed" / "coinbase" / "_commits").glob("*.json"):
        balance = json.loads(path.read_bytes())["balance"]
        ignored = sum(balance["ignored"].values())
        assert balance["frames"] == balance["parsed"] + ignored + balance["rejected"]
        assert balance["rejected"] == 0
        frames += balance["frames"]
    assert frames == sent


def test_the_same_segments_give_the_same_parts(recorded, lake, tmp_path):
    again = tmp_path / "data"
    shutil.copytree(recorded / "data", again)
    done = run("fluxforge-etl", "--once", "--data-dir", str(again), cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    def parts(data_dir):
        processed = data_dir / "processed"
        return {
            path.relative_to(processed): path.read_bytes() for path in processed.rglob("*.parquet")
        }

    assert parts(again) == parts(lake / "data")


def test_jq_reads_raw(recorded):
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    (segment,) = (recorded / "data" / "raw" / "ready" / "coinbase").glob("*.ndjson")
    done = subprocess.run(
        ["jq", "-c", "select(.data) | .data", str(segment)],
        check=True,
        capture_output=True,
        text=True,
    )
    sent = Counter(
        json.dumps(json.loads(frame))
        for frame in oracle.journal_frames(recorded / "journal.ndjson")
    )
    assert Counter(json.dumps(json.loads(line)) for line in done.stdout.splitlines()) == sent


def test_duckdb_reads_raw(recorded):
    raw = recorded / "data" / "raw" / "ready" / "coinbase" / "*.ndjson"
    with duckdb.connect() as connection:
        ((count,),) = connection.sql(
            f"SELECT count(*) FROM read_ndjson_objects('{raw}') WHERE json_exists(json, '$.data')"
        ).fetchall()
    assert count == sum(1 for _ in oracle.journal_frames(recorded / "journal.ndjson"))

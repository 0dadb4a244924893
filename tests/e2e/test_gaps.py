"""Every loss is known: what the exchange sent or withheld is in the lake or in its coverage.

Real processes: the simulated exchange, a network that breaks, ingest that is killed, the ETL, and
``fluxforge gaps --json``, held against the exchange's journal and the archive by ``losses``.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import fluxforge
import lake_rows
import oracle
from losses import assert_every_loss_is_known, kept_by_connection
from processes import run, running, simulator, wait_until
from tcp_relay import relayed

PRODUCTS = ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD")
CHANNELS = ("level2", "ticker", "market_trades", "candles", "status", "ticker_batch")


def ingest_options(url: str, data_dir: Path, products=PRODUCTS, channels=CHANNELS) -> list[str]:
    options = ["--url", url, "--data-dir", str(data_dir)]
    for product in products:
        options += ["--product", product]
    for channel in channels:
        options += ["--channel", channel]
    return options


def archived_lines(data_dir: Path) -> Iterator[str]:
    """Every line of every segment that is in the lake."""
    for archive in sorted((data_dir / "raw").glob("archive/*/*/*.zst")):
        with pa.CompressedInputStream(str(archive), "zstd") as lines:
            yield from lines.read().decode().splitlines()


def into_the_lake(data_dir: Path, home: Path) -> None:
    done = run("fluxforge-etl", "--once", "--data-dir", str(data_dir), cwd=home, timeout=600)
    assert done.returncode == 0, done.stderr


def gaps(data_dir: Path, home: Path, *options: str) -> list[dict]:
    command = ("fluxforge", "gaps", "--json", "--data-dir", str(data_dir), *options)
    done = run(*command, cwd=home)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def told(data_dir: Path, home: Path, *options: str) -> str:
    done = run("fluxforge", "gaps", "--data-dir", str(data_dir), *options, cwd=home)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_lake_is_what_was_kept(data_dir: Path, journal: Path) -> None:
    """Rows of the frames in the archive, and no others; all of them were sent."""
    texts = [
        line[line.index('"data":') + len('"data":') : -1]
        for line in archived_lines(data_dir)
        if '"data":' in line
    ]
    assert not Counter(texts) - Counter(oracle.journal_frames(journal))
    assert lake_rows.counters(data_dir) == oracle.expected_rows(texts)


@pytest.fixture(scope="module")
def lossy(tmp_path_factory):
    """A capture of an exchange that withholds frames, in many segments; turned into a lake."""
    home = tmp_path_factory.mktemp("lossy")
    (home / "config.yaml").write_text("ingestion: {segment_max_seconds: 0.7}\n")
    journal, data_dir = home / "journal.ndjson", home / "data"
    options = ("--rate", "500", "--lose", "0.02", "--products", ",".join(PRODUCTS))
    with simulator(*options, journal=journal) as (url, exchange):
        asked = ingest_options(url, data_dir, products=(*PRODUCTS, "NO-SUCH"))
        with running("fluxforge-ingest", *asked, cwd=home) as ingest:
            ready = data_dir / "raw" / "ready" / "coinbase"
            wait_until(
                lambda: len(list(ready.glob("*.ndjson"))) >= 8,
                what=lambda: f"8 segments:\n{ingest.output}",
                alive=lambda: ingest.process.poll() is None,
            )
            assert ingest.stop() == 0, ingest.output
        assert exchange.stop() == 0, exchange.output
    into_the_lake(data_dir, home)
    return home


def test_what_was_withheld_inside_a_connection_is_exactly_what_is_missing(lossy):
    data_dir, journal = lossy / "data", lossy / "journal.ndjson"
    holes = gaps(data_dir, lossy)
    lost = assert_every_loss_is_known(journal, archived_lines(data_dir), holes)
    assert lost["inside"] > 10
    assert sum(hole["missing"] or 0 for hole in holes) == lost["inside"]
    assert not [hole for hole in holes if hole["state"] == "disconnected"], "it was stopped cleanly"
    assert_lake_is_what_was_kept(data_dir, journal)


def test_the_table_says_the_same_by_itself(lossy):
    """Each segment's own rows; only what lies between two segments needs the join."""
    data_dir = lossy / "data"
    rows = fluxforge.scan(data_dir, "coverage").collect()
    exact = rows.filter((rows["state"] == "gap") & rows["missing"].is_not_null())
    joined = gaps(data_dir, lossy)
    between = [hole for hole in joined if hole["reason"] == "between segments"]
    in_all = sum(hole["missing"] or 0 for hole in joined)
    assert exact["missing"].sum() + sum(hole["missing"] for hole in between) == in_all
    lives = rows.filter((rows["state"] == "live") & rows["product_id"].is_not_null())
    seen = set(lives.select("channel", "product_id").cast(str).iter_rows())
    assert seen == {(channel, product) for channel in CHANNELS for product in PRODUCTS}


def test_a_gap_makes_the_books_suspect_and_a_product_that_never_came_is_refused(lossy):
    holes = gaps(lossy / "data", lossy)
    assert {hole["product_id"] for hole in holes if hole["state"] == "suspect"} == set(PRODUCTS)
    assert {hole["channel"] for hole in holes if hole["state"] == "suspect"} == {"level2"}
    refused = {hole["channel"] for hole in holes if hole["product_id"] == "NO-SUCH"}
    assert refused == set(CHANNELS)


def test_people_read_one_line_for_each_gap_and_the_sum(lossy):
    data_dir = lossy / "data"
    holes = gaps(data_dir, lossy)
    lines = told(data_dir, lossy).splitlines()
    exact = [hole for hole in holes if hole["missing"] is not None]
    assert sum(f"  gap           {PRODUCTS[0]}, " in line for line in lines) == len(exact)
    in_all = sum(hole["missing"] for hole in exact)
    assert f": {in_all:,} frames in {len(exact)} gaps, " in lines[-1]


def test_a_product_and_a_time_narrow_it_down(lossy):
    data_dir = lossy / "data"
    everything = gaps(data_dir, lossy)
    of_one = gaps(data_dir, lossy, "--product", "ETH-USD")
    assert {hole["product_id"] for hole in of_one} == {None, "ETH-USD"}
    assert [h for h in of_one if not h["product_id"]] == [
        h for h in everything if not h["product_id"]
    ]
    middle = sorted(hole["start_ts"] for hole in everything)[len(everything) // 2]
    until = gaps(data_dir, lossy, "--until", middle)
    since = gaps(data_dir, lossy, "--since", middle)
    assert 0 < len(until) < len(everything)
    assert len(since) < len(everything)
    assert {json.dumps(hole) for hole in [*until, *since]} == {
        json.dumps(hole) for hole in everything
    }


def test_nothing_is_missing_is_said_where_it_is_so_and_what_waits_is_told(tmp_path):
    journal, data_dir = tmp_path / "journal.ndjson", tmp_path / "data"
    with simulator("--rate", "200", "--products", "BTC-USD", journal=journal) as (url, _):
        asked = ingest_options(url, data_dir, ("BTC-USD",))
        with running("fluxforge-ingest", *asked, cwd=tmp_path) as ingest:
            ingest.wait_for("connected to")
            active = data_dir / "raw" / "active" / "coinbase"
            wait_until(
                lambda: sum(f.stat().st_size for f in active.glob("*.ndjson")) > 300_000,
                what=lambda: ingest.output,
            )
            assert ingest.stop() == 0, ingest.output
    assert "1 segment is recorded and not in the lake yet" in told(data_dir, tmp_path)
    into_the_lake(data_dir, tmp_path)
    assert told(data_dir, tmp_path).startswith("nothing is missing between ")
    assert gaps(data_dir, tmp_path) == []
    assert "nothing is known of that time" in told(data_dir, tmp_path, "--until", "2020-01-01")
    refused = run("fluxforge", "gaps", "--since", "yesterday", cwd=tmp_path)
    assert refused.returncode == 2


SOAK_SECONDS = float(os.environ.get("FLUXFORGE_SOAK_SECONDS", "0"))
ROWS_FIT_SECONDS = 120  # the rows of a longer one are too many to hold in memory twice
SOAK_RATE = os.environ.get("FLUXFORGE_SOAK_RATE", "2000")


@pytest.mark.parametrize(
    "seconds", [pytest.param(15, id="short"), pytest.param(900, id="long", marks=pytest.mark.slow)]
)
@pytest.mark.timeout(7200)
def test_whatever_breaks_lake_and_coverage_are_the_journal(seconds, tmp_path):
    """Losses, resets and kills at random, over several sockets; FLUXFORGE_SOAK_SECONDS sets how
    long, FLUXFORGE_SOAK_RATE the market's events a second."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    (tmp_path / "config.yaml").write_text(
        "ingestion: {segment_max_seconds: 1}\ncoinbase: {level2_batch_size: 2}\n"
    )
    journal, data_dir = tmp_path / "journal.ndjson", tmp_path / "data"
    options = ("--rate", SOAK_RATE, "--lose", "0.05", "--products", ",".join(PRODUCTS))
    seconds = SOAK_SECONDS or seconds
    deadline = time.monotonic() + seconds
    with (
        simulator(*options, journal=journal) as (url, exchange),
        relayed(url) as relay,
    ):
        lives = 0
        while True:
            lives += 1
            asked = ingest_options(relay.url, data_dir)
            with running("fluxforge-ingest", *asked, cwd=tmp_path) as ingest:
                ingest.wait_for("connected to")
                for _ in range(2):
                    time.sleep(rng.uniform(0.5, 2))  # the soak itself; nothing is judged by it
                    relay.reset()
                ingest.wait_for("trying again")
                time.sleep(rng.uniform(0.5, 2))
                if time.monotonic() > deadline:
                    assert ingest.stop() == 0, ingest.output
                    break
                ingest.kill()
        assert exchange.stop() == 0, exchange.output
    into_the_lake(data_dir, tmp_path)
    holes = gaps(data_dir, tmp_path)
    lost = assert_every_loss_is_known(journal, archived_lines(data_dir), holes)
    print(f"{lives} lives, lost {dict(lost)}")
    assert lives > 1
    assert lost["inside"] > 0
    assert lost["with an end"] > 0
    assert len(kept_by_connection(archived_lines(data_dir))) > lives
    if seconds <= ROWS_FIT_SECONDS:
        assert_lake_is_what_was_kept(data_dir, journal)

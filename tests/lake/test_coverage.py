"""Coverage read from a lake that the ETL made, on disk and on S3."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

import fluxforge
from fluxforge.config import FluxForgeConfig
from fluxforge.errors import FeedError
from fluxforge.etl import ETLJob
from fluxforge.lake import read_coverage
from processes import run
from segments import CAPTURE_NS, level2, local, trade, write_segment

MS = 10**6
# Numbers 2 and 3 never came; the connection goes on in the second segment,
# which begins without number 5 and lacks 7.
FIRST = [level2("BTC-USD", 0, 1.5), trade("BTC-USD", 1, "a"), level2("ETH-USD", 4, 2.5)]
SECOND = [level2("BTC-USD", 6, 1.25), trade("BTC-USD", 8, "b")]
LATER_NS = CAPTURE_NS + 10 * MS


@pytest.fixture(params=["disk", "s3"])
def config(request, tmp_path) -> FluxForgeConfig:
    """A lake of two segments."""
    here = local(tmp_path)
    segments = [write_segment(here, FIRST), write_segment(here, SECOND, capture_ns=LATER_NS)]
    config = here
    if request.param == "s3":
        moto = request.getfixturevalue("moto")
        bucket = moto.bucket()
        config = FluxForgeConfig.model_validate({"storage": moto.config(bucket)})
        storage = moto.storage(bucket=bucket)
        for segment in segments:
            storage.create_new_file(segment, f"raw/ready/coinbase/{segment.name}")
    assert ETLJob(config).run_once().exit_code == 0
    return config


def test_gaps_inside_and_between_segments_are_exact_on_any_storage(config):
    holes = read_coverage(config).holes()
    gaps = [(h.first_sequence, h.last_sequence, h.missing) for h in holes if h.state == "gap"]
    assert gaps == [(2, 3, 2), (5, 5, 1), (7, 7, 1)]
    suspect = [(h.product_id, h.start_ns - CAPTURE_NS) for h in holes if h.state == "suspect"]
    # No snapshot heals them.
    assert suspect == [("BTC-USD", 1 * MS), ("ETH-USD", 2 * MS)]


def test_holes_are_narrowed_by_product_and_time(config):
    coverage = read_coverage(config)
    assert [h.missing for h in coverage.holes(products=["DOGE-USD"])] == []
    assert [h.missing for h in coverage.holes(products=["ETH-USD"])] == [2, 1, None, 1]
    assert [h.missing for h in coverage.holes(end_ns=CAPTURE_NS + 2 * MS)] == [2, None]
    assert 2 not in [h.missing for h in coverage.holes(start_ns=LATER_NS)]
    assert coverage.start_ns == CAPTURE_NS
    assert coverage.end_ns == LATER_NS + MS


def test_scan_gives_the_segments_own_rows_by_product_and_time(config):
    rows = fluxforge.scan(config, "coverage").collect()
    assert rows.columns[:10] == [
        *("conn", "channel", "product_id", "start_ts", "end_ts", "state"),
        *("first_sequence", "last_sequence", "missing", "reason"),
    ]
    assert rows["missing"].sum() == 3, "what lies between segments is for the join"
    of_connections = rows.filter(rows["product_id"].is_null())["state"].to_list()
    assert Counter(of_connections) == {"live": 2, "gap": 2}
    of_eth = fluxforge.scan(config, "coverage", products=["ETH-USD"]).collect()
    assert set(of_eth["product_id"].to_list()) == {None, "ETH-USD"}
    later = datetime.fromtimestamp(CAPTURE_NS // 10**9, tz=UTC) + timedelta(milliseconds=10)
    assert fluxforge.scan(config, "coverage", start=later).collect()["start_ts"].min() >= later
    assert fluxforge.scan(config, "coverage", end=later).collect()["start_ts"].max() < later


def test_commits_from_before_there_was_coverage_tell_their_numbers(tmp_path):
    config = local(tmp_path)
    write_segment(config, FIRST)
    write_segment(config, SECOND, capture_ns=LATER_NS)
    assert ETLJob(config).run_once().exit_code == 0
    for path in (tmp_path / "processed/coinbase/_commits").glob("*.json"):
        commit = json.loads(path.read_bytes())
        commit["parts"] = [part for part in commit["parts"] if part["table"] != "coverage"]
        path.write_text(json.dumps(commit))
    holes = read_coverage(tmp_path).holes()
    assert [(h.first_sequence, h.missing) for h in holes] == [(2, 2), (5, 1), (7, 1)]


def test_an_empty_lake_has_the_tables_columns(tmp_path):
    rows = fluxforge.scan(tmp_path, "coverage").collect()
    assert rows.height == 0
    assert {"state", "missing", "product_id", "date"} <= set(rows.columns)
    coverage = read_coverage(tmp_path)
    assert (coverage.rows, coverage.start_ns) == ((), None)
    with pytest.raises(FeedError, match="coverage"):
        fluxforge.scan(tmp_path, "no such table")


def test_gaps_reads_a_lake_on_s3(moto, tmp_path):
    bucket = moto.bucket()
    settings = moto.config(bucket)
    segment = write_segment(local(tmp_path / "here"), FIRST)
    moto.storage(bucket=bucket).create_new_file(segment, f"raw/ready/coinbase/{segment.name}")
    (tmp_path / "config.yaml").write_text(json.dumps({"storage": settings}, default=str))
    waiting = run("fluxforge", "gaps", cwd=tmp_path)
    assert "1 segment is recorded and not in the lake yet" in waiting.stdout, waiting.stderr
    assert run("fluxforge-etl", "--once", cwd=tmp_path).returncode == 0
    done = run("fluxforge", "gaps", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [hole["missing"] for hole in json.loads(done.stdout)] == [2, None]

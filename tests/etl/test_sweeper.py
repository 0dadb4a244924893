"""The sweeper: what no commit lists goes, after a grace; what may count yet stays for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path

import polars as pl
import pytest

import fluxforge
from fluxforge.etl import ETLJob
from fluxforge.storage import disk
from segments import level2, local, write_segment

FRAMES = [level2("BTC-USD", 0, 100.5), b"rubbish", level2("ETH-USD", 1, 10.25)]
HOUR = 3600


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def sweep(data: Path):
    """Sweep now, whenever the last one was."""
    return ETLJob(local(data))._sweeper.sweep()


def objects(data: Path, pattern: str) -> set[Path]:
    return {path for path in data.glob(pattern) if path.is_file()}


def parts(data: Path) -> set[Path]:
    return objects(data, "processed/coinbase/level2/**/*.parquet")


def grow_old(paths) -> None:
    for path in paths:
        moment = time.time() - 2 * HOUR
        os.utime(path, (moment, moment))


def write_parts_and_die(data: Path, **recipe) -> set[Path]:
    """Write a ready segment's parts and rejects; the worker ends before its commit."""
    job = ETLJob(local(data, **recipe))
    before = parts(data)
    for key in job._backlog:
        segment, uid = job._backlog.identify(key)
        job._pipeline.run(key, segment=segment, uid=uid)
    return parts(data) - before


def test_parts_that_no_commit_lists_go_once_they_are_old(data):
    write_segment(local(data), FRAMES)
    orphans = write_parts_and_die(data, compression_level=9)
    assert len(orphans) == 2
    assert ETLJob(local(data)).run_once().exit_code == 0
    counted = parts(data) - orphans
    assert len(counted) == 2
    assert pl.read_parquet(list(parts(data))).height == 4  # what a glob sees meanwhile
    assert sweep(data).parts == 0
    assert orphans <= parts(data)
    grow_old(parts(data))
    assert sweep(data).parts == 2
    assert parts(data) == counted
    assert fluxforge.scan(local(data), "level2").collect().height == 2


def test_coverage_that_no_commit_lists_goes_too(data):
    write_segment(local(data), FRAMES)
    write_parts_and_die(data, compression_level=9)
    orphans = objects(data, "processed/coinbase/coverage/**/*.parquet")
    assert ETLJob(local(data)).run_once().exit_code == 0
    counted = objects(data, "processed/coinbase/coverage/**/*.parquet") - orphans
    assert len(orphans) == len(counted) == 1
    grow_old(orphans | counted)
    assert sweep(data).parts == 1
    assert objects(data, "processed/coinbase/coverage/**/*.parquet") == counted


def test_nothing_of_a_segment_without_a_commit_is_ever_removed(data):
    write_segment(local(data), FRAMES[:1])
    ETLJob(local(data)).run_once()  # there is a lake to be swept
    write_segment(local(data), FRAMES)
    uncommitted = write_parts_and_die(data)
    everything = parts(data)
    grow_old(everything | objects(data, "processed/**/*"))
    assert sweep(data).parts == 0
    assert parts(data) == everything
    report = ETLJob(local(data)).run_once()
    committed = {part.name for part in report.committed[0].parts if part.table == "level2"}
    assert committed == {path.name for path in uncommitted}


def test_rejects_of_a_worker_that_lost_go_too(data):
    wide = level2("BTC-USD", 9, 1.0).replace(b'"1.0"', b'"1.0000000000000000001"')
    write_segment(local(data), [*FRAMES, wide])
    write_parts_and_die(data, numbers="decimal")
    ETLJob(local(data)).run_once()
    rejects = objects(data, "processed/coinbase/_rejects/*")
    assert len(rejects) == 2
    grow_old(rejects)
    assert sweep(data).rejects == 1
    (left,) = objects(data, "processed/coinbase/_rejects/*")
    (commit,) = ETLJob(local(data))._ledger.commits()
    assert commit.rejects[0].endswith(left.name)


def test_what_is_not_ours_stays(data):
    write_segment(local(data), FRAMES)
    ETLJob(local(data)).run_once()
    table = data / "processed/coinbase/level2"
    foreign = table / "part_by_hand.parquet", table / "part_damaged.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(foreign[0])
    foreign[1].write_bytes(b"PAR1")
    grow_old(foreign)
    assert sweep(data).parts == 0
    assert all(path.exists() for path in foreign)


def test_claims_whose_segment_is_gone_and_cut_writes_go(data):
    segment = write_segment(local(data), FRAMES)
    job = ETLJob(local(data))
    claims = data / "raw/processing/coinbase"
    kept = job._claims.acquire(segment.stem, "0" * 32)
    job._claims.acquire("segment_20251203T14_99999", "1" * 32)
    (claims / f"segment_20251203T14_99998.{'2' * 32}.0001.beat").write_bytes(b"{}")
    cut = disk.write_temporary(claims, [b"half"])
    grow_old([*claims.iterdir()])
    report = sweep(data)
    assert (report.claims, report.unfinished) == (2, 1)
    assert not cut.exists()
    assert [path.name for path in claims.iterdir()] == [kept.key.rpartition("/")[2]]


def test_a_claim_whose_owner_still_beats_stays(data):
    job = ETLJob(local(data))
    claim = job._claims.acquire("segment_20251203T14_99999", "1" * 32)
    with job._claims.alive(claim):
        grow_old([data / claim.key])
        assert sweep(data).claims == 0
        assert (data / claim.key).exists()


def test_one_sweep_serves_all_workers_until_the_next_is_due(data):
    write_segment(local(data), FRAMES)
    orphans = write_parts_and_die(data, compression_level=9)
    swept = data / "processed/coinbase/_commits/lake.swept"
    assert not swept.exists()
    ETLJob(local(data)).run_once()
    grow_old(orphans)
    ETLJob(local(data)).run_once()
    assert orphans <= parts(data), "swept again before it was due"
    grow_old([swept])
    ETLJob(local(data, sweep_interval=HOUR)).run_once()
    assert not orphans & parts(data)


def test_a_sweep_that_fails_is_told_and_stops_nothing(data, caplog):
    write_segment(local(data), FRAMES)
    ETLJob(local(data)).run_once()
    (data / "processed/coinbase/_commits/segment.uid.json").write_bytes(b"no commit")
    write_segment(local(data), FRAMES)
    (data / "processed/coinbase/_commits/lake.swept").unlink()
    report = ETLJob(local(data)).run_once()
    assert len(report.committed) == 1
    assert report.exit_code == 0
    assert "could not sweep the lake" in caplog.text

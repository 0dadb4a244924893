"""One lake for one raw: a second one is refused unless raw stays."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fluxforge
from fluxforge.config import FluxForgeConfig
from fluxforge.errors import LedgerError, SecondLakeError
from fluxforge.etl import ETLJob
from segments import level2, local, write_segment

FRAMES = [level2("BTC-USD", 0, 100.5)]


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def into(data: Path, lake: Path, **etl) -> FluxForgeConfig:
    """Raw from one directory, its lake in another."""
    output = {"base_dir": str(lake)}
    return FluxForgeConfig.model_validate(
        {"storage": {"base_dir": str(data)}, "etl": {"storage_output": output, **etl}}
    )


def ready(data: Path) -> list[Path]:
    return list((data / "raw/ready/coinbase").glob("*.ndjson"))


def commits(lake: Path) -> list[Path]:
    return list((lake / "processed/coinbase/_commits").glob("*.json"))


def test_a_second_lake_on_the_same_raw_is_refused_and_told_what_to_do(data, tmp_path):
    write_segment(local(data), FRAMES)
    assert ETLJob(into(data, tmp_path / "one")).run_once().exit_code == 0
    write_segment(local(data), FRAMES)
    with pytest.raises(SecondLakeError) as refused:
        ETLJob(into(data, tmp_path / "two")).run_once()
    assert str(tmp_path / "one") in str(refused.value)
    assert "etl.raw_retention: keep" in str(refused.value)
    assert str(data / "raw/_lakes/coinbase.json") in str(refused.value)
    assert refused.value.exit_code == 2
    assert len(ready(data)) == 1
    assert commits(tmp_path / "two") == []
    assert list((data / "raw").glob("processing/*/*")) == []
    assert len(ETLJob(into(data, tmp_path / "one")).run_once().committed) == 1


def test_raw_that_is_kept_may_become_two_lakes(data, tmp_path):
    write_segment(local(data), FRAMES)
    for lake in (tmp_path / "one", tmp_path / "two"):
        assert len(ETLJob(into(data, lake, raw_retention="keep")).run_once().committed) == 1
        assert len(commits(lake)) == 1
    assert len(ready(data)) == 1


def test_a_lake_that_keeps_raw_is_refused_where_another_removes_it(data, tmp_path):
    write_segment(local(data), FRAMES)
    ETLJob(into(data, tmp_path / "one")).run_once()
    write_segment(local(data), FRAMES)
    with pytest.raises(SecondLakeError):
        ETLJob(into(data, tmp_path / "two", raw_retention="keep")).run_once()


def test_of_two_lakes_at_once_one_is_registered(data, tmp_path):
    for _ in range(3):
        write_segment(local(data), FRAMES)
    lakes = [tmp_path / str(number) for number in range(8)]

    def work(lake: Path) -> bool:
        try:
            ETLJob(into(data, lake)).run_once()
        except SecondLakeError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        served = dict(zip(lakes, pool.map(work, lakes), strict=True))
    (winner,) = (lake for lake, won in served.items() if won)
    assert {lake: len(commits(lake)) for lake in lakes} == dict.fromkeys(lakes, 0) | {winner: 3}


def test_data_and_lake_may_move(data, tmp_path):
    write_segment(local(data), FRAMES)
    ETLJob(local(data)).run_once()
    moved = tmp_path / "elsewhere"
    shutil.move(data, moved)
    write_segment(local(moved), [level2("BTC-USD", 1, 1.0)])
    assert len(ETLJob(local(moved)).run_once().committed) == 1
    assert fluxforge.scan(local(moved), "level2").collect().height == 2


def test_a_registration_that_says_nothing_is_told(data):
    write_segment(local(data), FRAMES)
    registered = data / "raw/_lakes/coinbase.json"
    registered.parent.mkdir(parents=True)
    registered.write_text(json.dumps({"format": 1}))
    with pytest.raises(LedgerError, match="should name the lake"):
        ETLJob(local(data)).run_once()

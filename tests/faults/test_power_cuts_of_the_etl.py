"""The power goes while one worker relies on what another one has named, and not made durable.

Raw and lake lie on two file systems: on one, ext4 and xfs keep the order of all changes, and what
the second worker syncs later would make the first one's name durable by the way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fluxforge
from crashing_storage import PowerCut
from faults.loop_disks import LoopDisk, fresh_disk
from fluxforge.config import FluxForgeConfig
from fluxforge.etl import ETLJob
from fluxforge.storage import LocalStorage, disk
from segments import level2, local, write_segment

FRAMES = [level2("BTC-USD", 0, 100.5), level2("ETH-USD", 1, 10.25), b"rubbish"]
ROWS = 2


class DiesBeforeTheSync(LocalStorage):
    """A storage whose user dies between naming an object and making the name durable."""

    def __init__(self, root: Path, *, at: str) -> None:
        super().__init__(root)
        self._at = at

    def _write(self, pieces, path, publish):
        if self._at not in path:
            return super()._write(pieces, path, publish)
        target = self._path(path)
        self._prepare(target.parent)
        assert publish(disk.write_temporary(target.parent, pieces), target)
        raise PowerCut(path)


class Unsynced(LocalStorage):
    """A storage whose user takes what it sees for durable."""

    def ensure_durable(self, path):
        pass


@contextmanager
def two_disks(where: Path, kind: str) -> Iterator[tuple[LoopDisk, LoopDisk]]:
    where.mkdir()
    with fresh_disk(where / "raw", kind) as raw, fresh_disk(where / "lake", kind) as lake:
        yield raw, lake


def configured(raw: LoopDisk, lake: LoopDisk) -> FluxForgeConfig:
    return FluxForgeConfig.model_validate(
        {
            "storage": {"base_dir": str(raw.mount_point)},
            "etl": {"storage_output": {"base_dir": str(lake.mount_point)}, "lease": 0.001},
        }
    )


def run_to_the_end(config: FluxForgeConfig, output: LocalStorage | None = None) -> None:
    job = ETLJob(config, storage_output=output)
    job._next_sweep = math.inf  # what it writes would make the rest durable by the way
    for _ in range(1000):
        report = job.run_once()
        assert report.failures == {}
        if not report.held:
            return
    raise AssertionError("a claim was never taken over")


def rows_after_the_cut(
    where: Path, kind: str, *, dies_at: str, relies: type[LocalStorage] = LocalStorage
) -> int:
    """Have one worker die, another one finish, and the power go; run the ETL again; count rows."""
    with two_disks(where, kind) as (raw, lake):
        config = configured(raw, lake)
        segment = write_segment(local(raw.mount_point), FRAMES)
        first = ETLJob(config, storage_output=DiesBeforeTheSync(lake.mount_point, at=dies_at))
        with pytest.raises(PowerCut):
            first.run_once()
        run_to_the_end(config, relies(lake.mount_point))
        assert not segment.exists(), "the second worker had tidied"
        for each in (raw, lake):
            each.shut_down()
            each.come_back()
        run_to_the_end(config)
        assert len(list((raw.raw / "archive").rglob("*.zst"))) == 1
        return fluxforge.scan(config, "level2").collect().height


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
@pytest.mark.parametrize("dies_at", ["level2", "_rejects", "_commits/segment"])
def test_a_name_that_another_worker_relied_on_survives_the_power_cut(kind, dies_at, tmp_path):
    assert rows_after_the_cut(tmp_path / "disks", kind, dies_at=dies_at) == ROWS


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_worker_that_relies_on_a_commit_it_merely_sees_is_noticed(kind, tmp_path):
    """By a real power cut, not only by the model. The disk may write the name out by itself."""
    lost = (
        rows_after_the_cut(
            tmp_path / str(attempt), kind, dies_at="_commits/segment", relies=Unsynced
        )
        < ROWS
        for attempt in range(5)
    )
    assert any(lost)

"""Looking for work costs what it must: on S3 every look and every request is paid for."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from counting_storage import CountingStorage
from fluxforge.config import FluxForgeConfig
from fluxforge.etl import ETLJob, ETLWatcher, JobReport
from fluxforge.etl.backlog import Backlog
from fluxforge.storage import LocalStorage
from segments import level2, local, trade, write_segment

FRAMES = [level2("BTC-USD", 0, 100.5), trade("BTC-USD", 1, "t1")]
# What one segment costs beside its parts: claim, look for a commit, sync of raw, commit, archive,
# and the removal of raw and claim.
REQUESTS = 7


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def config(tmp_path):
    return local(tmp_path / "data")


def test_one_look_serves_a_whole_backlog(config):
    for number in range(5):
        write_segment(config, [level2("BTC-USD", number, 1.0)])
    storage = CountingStorage(config.storage.base_dir)
    job = ETLJob(config, storage=storage)
    job._next_sweep = math.inf  # has costs of its own, once a day
    assert len(job.run_once().committed) == 5
    assert storage.counts["list_files"] == 2  # ready, and claims
    assert storage.counts["read_chunks"] == 3 * 5  # the header, the parser, the archive


def test_an_idle_poll_is_one_list(config):
    storage = CountingStorage(config.storage.base_dir)
    job = ETLJob(config, storage=storage)
    job.run_once()
    storage.counts.clear()
    job.run_once()
    assert storage.counts == {"list_files": 1}


def test_kept_raw_is_not_asked_about_again(tmp_path):
    config = local(tmp_path / "data", raw_retention="keep")
    write_segment(config, FRAMES)
    storage = CountingStorage(config.storage.base_dir)
    job = ETLJob(config, storage=storage)
    job.run_once()
    storage.counts.clear()
    job.run_once()
    assert storage.counts == {"list_files": 1}


def backlog(tmp_path, clock, keys):
    storage = LocalStorage(tmp_path)
    for key in keys:
        storage.write_bytes(b"", f"ready/{key}.ndjson")
    looks = []
    return (
        storage,
        looks,
        Backlog(
            storage,
            path="ready",
            look=lambda: looks.append(clock.now),
            fresh_seconds=5,
            monotonic=clock,
            chance=random.Random(1),
        ),
    )


def test_an_old_look_is_taken_again_and_what_is_gone_is_not_tried(tmp_path):
    clock = Clock()
    storage, looks, ready = backlog(tmp_path, clock, "abcd")
    went = []
    for key in ready:
        went.append(key[6])
        if key == "ready/a.ndjson":
            clock.now += 6
            storage.delete("ready/b.ndjson")
            storage.write_bytes(b"", "ready/e.ndjson")  # for the next pass
    assert went == ["a", "c", "d"]
    assert looks == [0, 6]


def test_who_meets_another_worker_goes_on_elsewhere_and_still_everywhere(tmp_path):
    _, _, ready = backlog(tmp_path, Clock(), "abcdefghijkl")
    went = []
    for key in ready:
        went.append(key[6])
        if len(went) == 1:
            ready.scatter()
    assert sorted(went) == list("abcdefghijkl")
    assert went != sorted(went)


def test_pauses_double_while_there_is_nothing_and_end_with_work():
    watcher = ETLWatcher(None, poll_interval=5, poll_interval_max=30)
    idle, busy = JobReport(), JobReport(committed=[None])
    assert [watcher.pause_after(idle) for _ in range(5)] == [5, 10, 20, 30, 30]
    assert [watcher.pause_after(r) for r in (busy, idle, idle)] == [0, 5, 10]
    assert ETLWatcher(None, poll_interval=60, poll_interval_max=30).pause_after(idle) == 60


def test_a_segment_costs_few_requests_beside_its_parts(moto, tmp_path):
    """Without heartbeats, ranges and LIST: what 8 + parts means."""
    ingest = local(tmp_path / "data")
    for number in range(3):
        write_segment(ingest, [*FRAMES, level2("ETH-USD", 2, number + 1.0)])
    config = FluxForgeConfig.model_validate({"storage": moto.config(moto.bucket())})
    storage = moto.storage(bucket=config.storage.base_dir)
    for path in sorted((tmp_path / "data/raw/ready/coinbase").glob("*.ndjson")):
        storage.write_file(path, f"raw/ready/coinbase/{path.name}")
    job = ETLJob(config, storage=storage, storage_output=storage)
    job._unprobed.clear()  # once per process, as is the registration; a sweep comes once a day
    job._next_sweep = math.inf
    job._registration.require()
    requests: Counter[str] = Counter()
    lists = 0

    def count(params, model, **_):
        nonlocal lists
        lists += model.name.startswith("List")
        key = params["url_path"].rpartition("?")[0] or params["url_path"]
        if not key.endswith(".beat") and model.name not in {"GetObject", "ListObjectsV2"}:
            requests[f"{model.name} {key}"] += 1

    storage._client.meta.events.register("before-call.s3", count)
    report = job.run_once()
    parts = sum(len(commit.parts) for commit in report.committed)
    assert (len(report.committed), parts) == (3, 12)
    assert requests.total() <= 3 * REQUESTS + parts, requests
    assert lists == 2

"""The ETL job: exactly once, wherever it dies and whatever it finds."""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import fluxforge
from crashing_storage import CrashingStorage, PowerCut
from fluxforge.errors import LedgerError, SegmentFormatError
from fluxforge.etl import ETLJob, ETLWatcher
from processes import wait_until
from segments import level2, local, trade, write_segment

FRAMES = [
    level2("BTC-USD", 0, 100.5, 101.0),
    trade("BTC-USD", 1, "t1"),
    b'{"channel":"heartbeats","sequence_num":2,"events":[]}',
    level2("ETH-USD", 3, 10.25),
    b"rubbish",
    level2("BTC-USD", 4, 100.75),
]


@pytest.fixture
def config(tmp_path):
    return local(tmp_path / "data", lease=0.001)


def run_to_the_end(config):
    """Run one job until nothing is ready or held; return its last report."""
    job = ETLJob(config)
    for _ in range(200):
        report = job.run_once()
        if not report.held:
            return report
    raise AssertionError("a claim was never taken over")


def lake(config) -> dict[str, bytes]:
    """Every object of the lake that must not depend on how often the ETL died."""
    processed = Path(config.storage.base_dir) / "processed"
    return {
        str(path.relative_to(processed)): path.read_bytes()
        for path in sorted(processed.rglob("*"))
        if path.is_file() and "_commits" not in path.parts
    }


def raw(config, state: str) -> list[Path]:
    """The files of one state of raw."""
    root = Path(config.storage.base_dir) / "raw" / state
    return sorted(path for path in root.rglob("*") if path.is_file())


def the_commit(config) -> dict:
    (path,) = (Path(config.storage.base_dir) / "processed/coinbase/_commits").glob("*.json")
    return json.loads(path.read_bytes())


def test_a_segment_becomes_parts_a_commit_rejects_and_an_archive(config):
    segment = write_segment(config, FRAMES)
    report = ETLJob(config).run_once()
    assert report.exit_code == 0
    (commit,) = report.committed
    assert commit.raw.verified
    assert commit.raw.sealed
    assert commit.balance.frames == len(FRAMES)
    assert commit.balance.parsed == 4
    assert commit.balance.ignored == {"heartbeats": 1}
    assert commit.balance.rejected == 1
    assert {k: v for k, v in commit.balance.rows.items() if v} == {"level2": 4, "market_trades": 1}
    (span,) = commit.connections
    assert (span.first_sequence, span.last_sequence, span.missing) == (0, 4, 0)
    assert [(p.table, p.product_id, p.date, p.rows) for p in commit.parts] == [
        ("level2", "BTC-USD", "2025-12-03", 3),
        ("level2", "ETH-USD", "2025-12-03", 1),
        ("market_trades", "BTC-USD", "2025-12-03", 1),
        ("coverage", None, "2025-12-03", 4),  # the connection, and each product's channel
    ]
    assert not segment.exists()
    assert [path.name for path in raw(config, "archive")] == [f"{segment.name}.zst"]
    assert raw(config, "processing") == []


def test_a_wire_that_changed_is_told_and_committed(config, caplog):
    frame = level2("BTC-USD", 0, 100.5).replace(b'"price_level"', b'"depth":1,"price_level"')
    write_segment(config, [frame])
    assert ETLJob(config).run_once().exit_code == 0
    assert "l2_data: 'events[].updates[].depth' is new (1 times)" in caplog.text
    assert the_commit(config)["balance"]["unknown_fields"] == {
        "l2_data": {"events[].updates[].depth": 1}
    }


def test_dying_at_any_change_and_running_again_gives_the_same_lake(config, tmp_path):
    write_segment(config, FRAMES)
    pristine = tmp_path / "pristine"
    data_dir = Path(config.storage.base_dir)
    shutil.copytree(data_dir, pristine)
    assert ETLJob(config).run_once().exit_code == 0
    expected, archived = lake(config), [path.read_bytes() for path in raw(config, "archive")]

    died_in = []
    for after in (False, True):
        for at in range(100):
            shutil.rmtree(data_dir)
            shutil.copytree(pristine, data_dir)
            storage = CrashingStorage(data_dir, at=at, after=after)
            try:
                ETLJob(local(data_dir), storage=storage, storage_output=storage).run_once()
            except PowerCut:
                died_in.append(storage.crashed_in)
            if storage.crashed_in is None:
                break
            assert run_to_the_end(config).failures == {}, storage.crashed_in
            assert lake(config) == expected, storage.crashed_in
            assert [p.read_bytes() for p in raw(config, "archive")] == archived
            assert raw(config, "ready") == raw(config, "processing") == [], storage.crashed_in
    # Claim, three parts, rejects, commit, archive, raw and claim: each was a place to die.
    for step in (".parquet", "_rejects", "_commits", "archive", "delete raw/ready", ".json"):
        assert any(step in place for place in died_in), f"never died in {step}"
    assert len(died_in) >= 18


def test_many_jobs_at_once_commit_each_segment_once(config):
    for number in range(6):
        write_segment(
            config, [level2("BTC-USD", number * 2, 1.0), trade("BTC-USD", 1, str(number))]
        )
    calm = local(Path(config.storage.base_dir))  # a lease that nobody loses
    start = threading.Barrier(4)

    def work(_):
        job = ETLJob(calm)
        start.wait()
        return job.run_once()

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(work, range(4)))
    assert all(report.failures == {} for report in reports)
    run_to_the_end(calm)
    committed = Counter(c.segment for report in reports for c in report.committed)
    assert len(committed) == 6
    assert set(committed.values()) == {1}
    trades = fluxforge.scan(config, "market_trades").select("trade_id").collect().to_series()
    assert sorted(trades) == [str(number) for number in range(6)]


def test_a_worker_that_wakes_late_changes_nothing(config):
    """It parsed, then froze; meanwhile another one did everything, with another recipe."""
    unlike = level2("BTC-USD", 9, 1.0).replace(b'"1.0"', b'"1.0000000000000000001"')
    segment = write_segment(config, [*FRAMES, unlike])
    late = ETLJob(local(Path(config.storage.base_dir), lease=0.001, numbers="decimal"))
    original = late._ledger.publish

    def freeze_before_publishing(commit):
        # A decimal of 19 places is a reject to the late worker, a row to the other.
        assert commit.balance.rejected == 2
        other = local(Path(config.storage.base_dir), lease=0.001, compression_level=9)
        assert run_to_the_end(other).exit_code == 0
        assert not segment.exists()
        return original(commit)

    late._ledger.publish = freeze_before_publishing
    report = late.run_once()
    assert report.committed == []
    assert report.failures == {}
    commit = the_commit(config)
    assert commit["recipe"]["compression_level"] == 9
    assert commit["balance"]["rejected"] == 1
    rejects = Path(config.storage.base_dir) / "processed/coinbase" / commit["rejects"][0]
    assert len(rejects.read_bytes().splitlines()) == 1
    assert fluxforge.scan(config, "level2").collect().height == 5


def test_a_segment_copied_under_another_name_counts_once(config):
    segment = write_segment(config, FRAMES)
    copy = segment.with_name("copy.ndjson")
    shutil.copy(segment, copy)
    assert run_to_the_end(config).exit_code == 0
    assert fluxforge.scan(config, "level2").collect().height == 4
    assert raw(config, "ready") == []


def test_a_plain_ndjson_file_is_a_segment_too(config):
    ready = Path(config.storage.base_dir) / "raw/ready/coinbase"
    ready.mkdir(parents=True)
    line = b'{"capture_ts":"2025-12-03T14:00:00Z","data":' + level2("BTC-USD", 0, 1.0) + b"}\n"
    (ready / "from-elsewhere.ndjson").write_bytes(line)
    (ready / "the-same-again.ndjson").write_bytes(line)
    assert run_to_the_end(config).exit_code == 0
    commit = the_commit(config)
    assert commit["segment"] == f"plain_{commit['uid']}"
    assert commit["raw"]["file"] == "from-elsewhere.ndjson"
    assert fluxforge.scan(config, "level2").collect().height == 1
    (archived,) = raw(config, "archive")
    assert archived.parent.name == "date=2025-12-03"


def test_a_file_that_is_still_being_copied_waits(config, monkeypatch):
    """It grows between the look at it and the end of its parsing."""
    ready = Path(config.storage.base_dir) / "raw/ready/coinbase"
    ready.mkdir(parents=True)
    lines = [
        b'{"capture_ts":"2025-12-03T14:00:00Z","data":' + level2("BTC-USD", n, 1.0) + b"}\n"
        for n in range(2)
    ]
    growing = ready / "growing.ndjson"
    growing.write_bytes(lines[0])
    job = ETLJob(config)
    run = job._pipeline.run

    def grow_meanwhile(key, **identity):
        commit = run(key, **identity)
        growing.write_bytes(lines[0] + lines[1])
        return commit

    monkeypatch.setattr(job._pipeline, "run", grow_meanwhile)
    report = job.run_once()
    (error,) = report.failures.values()
    assert "by renaming them" in str(error)
    monkeypatch.undo()
    assert run_to_the_end(config).exit_code == 0
    assert fluxforge.scan(config, "level2").collect().height == 2


def test_a_name_that_comes_again_is_looked_at_again(config):
    ready = Path(config.storage.base_dir) / "raw/ready/coinbase"
    ready.mkdir(parents=True)
    job = ETLJob(config)
    for number in range(2):
        data = level2("BTC-USD", number, 1.0)
        (ready / "a.ndjson").write_bytes(
            b'{"capture_ts":"2025-12-03T14:00:00Z","data":' + data + b"}\n"
        )
        assert len(job.run_once().committed) == 1
    assert fluxforge.scan(config, "level2").collect().height == 2


def test_a_header_whose_name_climbs_is_no_key(config):
    segment = write_segment(config, FRAMES)
    name = segment.name.encode()
    segment.write_bytes(segment.read_bytes().replace(name, b"../" + name[3:], 1))
    run_to_the_end(config)
    commits = Path(config.storage.base_dir) / "processed/coinbase/_commits"
    assert [path.name.partition("_")[0] for path in commits.glob("*.json")] == ["plain"]
    assert raw(config, "ready") == []


def test_an_archive_name_that_is_taken_by_something_else_is_not_trusted(config):
    segment = write_segment(config, FRAMES)
    archive = Path(config.storage.base_dir) / "raw/archive/coinbase"
    date = f"date={segment.name[8:12]}-{segment.name[12:14]}-{segment.name[14:16]}"
    (archive / date).mkdir(parents=True)
    (archive / date / f"{segment.name}.zst").write_bytes(b"something else")
    assert run_to_the_end(config).exit_code == 0
    assert len(raw(config, "archive")) == 2
    assert raw(config, "ready") == []


def test_raw_that_changed_after_its_commit_stays_and_alarms(config):
    segment = write_segment(config, FRAMES)
    before = segment.read_bytes()
    assert ETLJob(config).run_once().exit_code == 0
    segment.write_bytes(before + b"\n")
    report = ETLJob(config).run_once()
    (error,) = report.failures.values()
    assert isinstance(error, LedgerError)
    assert "changed after it was committed" in str(error)
    assert report.exit_code == 1
    assert segment.exists()


@pytest.mark.parametrize(("retention", "ready", "archive"), [("keep", 1, 0), ("delete", 0, 0)])
def test_retention(tmp_path, retention, ready, archive):
    config = local(tmp_path / "data", raw_retention=retention)
    write_segment(config, FRAMES)
    job = ETLJob(config)
    assert job.run_once().exit_code == 0
    assert len(raw(config, "ready")) == ready
    assert len(raw(config, "archive")) == archive
    assert job.run_once().committed == []
    assert ETLJob(config).run_once().committed == []
    assert fluxforge.scan(config, "level2").collect().height == 4


def test_the_archive_gives_raw_back_to_the_byte(config):
    segment = write_segment(config, FRAMES)
    before = segment.read_bytes()
    ETLJob(config).run_once()
    (archived,) = raw(config, "archive")
    assert fluxforge.parse_segment(archived).raw_bytes == len(before)
    with pa.CompressedInputStream(str(archived), "zstd") as source:
        assert source.read() == before


def test_a_damaged_group_is_rejected_and_the_rest_committed(config):
    segment = write_segment(config, FRAMES)
    data = segment.read_bytes()
    segment.write_bytes(data.replace(b"100.75", b"900.75"))
    report = ETLJob(config).run_once()
    (commit,) = report.committed
    assert not commit.raw.verified
    assert commit.balance.holds()
    assert commit.balance.rejected > 1
    assert report.exit_code == 1


def test_a_newer_segment_stays_and_the_others_go_on(config):
    newer = write_segment(config, FRAMES)
    bytes_ = newer.read_bytes().replace(b'"format":1', b'"format":2', 1)
    newer.write_bytes(bytes_)
    write_segment(config, FRAMES[:1])
    report = ETLJob(config).run_once()
    assert len(report.committed) == 1
    assert [type(error) for error in report.failures.values()] == [SegmentFormatError]
    assert report.exit_code == 2
    assert newer.read_bytes() == bytes_


def test_an_empty_file_is_committed_without_parts(config):
    ready = Path(config.storage.base_dir) / "raw/ready/coinbase"
    ready.mkdir(parents=True)
    (ready / "empty.ndjson").touch()
    assert run_to_the_end(config).exit_code == 0
    assert the_commit(config)["parts"] == []
    assert raw(config, "ready") == []


def test_decimal_and_microseconds_reach_the_parts(tmp_path):
    config = local(tmp_path / "data", numbers="decimal", timestamp_unit="us")
    write_segment(config, FRAMES)
    assert ETLJob(config).run_once().exit_code == 0
    frame = fluxforge.scan(config, "level2").collect()
    assert frame.schema["price_level"] == pl.Decimal(38, 18)
    assert frame.schema["capture_ts"] == pl.Datetime("us", "UTC")


def test_a_watcher_ends_when_told(config):
    write_segment(config, FRAMES)
    stop = threading.Event()
    watcher = ETLWatcher(ETLJob(config), poll_interval=0.01)
    threading.Timer(0.5, stop.set).start()
    assert watcher.run(stop) == 0
    assert raw(config, "ready") == []


def test_no_segments_and_no_directory_is_fine(tmp_path):
    assert ETLJob(local(tmp_path / "nothing")).run_once().exit_code == 0
    assert not (tmp_path / "nothing").exists()


def test_a_worker_is_seen_alive_until_it_has_tidied(config, monkeypatch):
    """An archive may take longer than a lease; nobody should make it a second time."""
    write_segment(config, FRAMES)
    job = ETLJob(config)
    tidy = job._tidier.tidy
    alive = []

    def slow(key, commit):
        beat = Path(config.storage.base_dir).glob("raw/processing/*/*.beat")
        (path,) = beat
        first = path.read_bytes()
        wait_until(lambda: path.read_bytes() != first, what=lambda: "a beat while tidying")
        alive.append(True)
        tidy(key, commit)

    monkeypatch.setattr(job._tidier, "tidy", slow)
    assert job.run_once().exit_code == 0
    assert alive == [True]

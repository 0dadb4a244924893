"""A segment that no worker survives is put aside; who was told to end blames no segment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import crashing_parser
import fluxforge
from crashing_storage import CrashingStorage, PowerCut
from fluxforge.errors import LedgerError
from fluxforge.etl import ETLJob
from fluxforge.etl.beats import beat, doing
from fluxforge.etl.rehearsal import Rehearsal
from fluxforge.etl.worker import Worker
from processes import clean_environment, wait_until
from segments import level2, local, write_segment

FRAMES = [level2("BTC-USD", 0, 100.5)]
MAX = 3


@pytest.fixture
def config(tmp_path):
    return local(tmp_path / "data", lease=0.001, max_crashes=MAX)


@pytest.fixture
def segment(config):
    return write_segment(config, FRAMES)


@pytest.fixture(autouse=True)
def kills(monkeypatch):
    """The segment kills any child that parses it."""
    monkeypatch.setattr(Rehearsal, "survives", lambda *_, **__: False)


def a_worker(config, **other) -> ETLJob:
    """A worker that can be seen to be dead, as its process has never been."""
    job = ETLJob(config, **other)
    job._claims._worker = replace(Worker.current(), started=1)
    return job


def die(config, *, in_: str) -> None:
    """Have a worker die in the parser, or before it came to it."""
    job = a_worker(config)

    def crash(*_args, **_kwargs):
        raise PowerCut(in_)

    if in_ == "parser":
        job._pipeline.run = crash
    else:
        job._ledger.find = crash
    with pytest.raises(PowerCut):
        job.run_once()


def quarantined(config) -> dict[str, bytes]:
    where = Path(config.storage.base_dir) / "raw/quarantine/coinbase"
    return {path.name: path.read_bytes() for path in where.glob("*")}


def claims(config) -> list[Path]:
    return list((Path(config.storage.base_dir) / "raw/processing/coinbase").glob("*"))


def test_after_so_many_crashes_the_segment_goes_to_quarantine_with_the_reason(
    config, segment, caplog
):
    raw = segment.read_bytes()
    for _ in range(MAX):
        die(config, in_="parser")
    report = ETLJob(config).run_once()
    assert report.quarantined == [segment.stem]
    assert report.failures == {}
    assert report.exit_code == 1
    files = quarantined(config)
    (name,) = (name for name in files if name.endswith(".ndjson"))
    assert name.startswith(f"{segment.stem}.")
    assert files[name] == raw
    reason = json.loads(files[name.replace(".ndjson", ".reason.json")])
    assert reason["reason"] == "3 workers died while they parsed it"
    assert reason["file"] == segment.name
    assert "went to quarantine" in caplog.text
    assert not segment.exists()
    assert claims(config) == []
    assert ETLJob(config).run_once().exit_code == 0


@pytest.mark.usefixtures("segment")
def test_one_crash_less_and_it_is_processed(config):
    for _ in range(MAX - 1):
        die(config, in_="parser")
    assert len(ETLJob(config).run_once().committed) == 1
    assert quarantined(config) == {}
    assert claims(config) == []


@pytest.mark.usefixtures("segment")
def test_who_died_before_parsing_blames_nobody(config):
    for _ in range(MAX + 2):
        die(config, in_="claim")
    assert len(ETLJob(config).run_once().committed) == 1


def test_an_error_is_no_crash_and_does_not_wipe_the_crashes_before_it(config, segment):
    for _ in range(MAX - 1):
        die(config, in_="parser")
    failing = a_worker(config)

    def fail(*_args, **_kwargs):
        raise LedgerError("the disk is full, say")

    failing._pipeline.run = fail
    for _ in range(MAX):
        assert list(failing.run_once().failures)
    die(config, in_="parser")
    assert ETLJob(config).run_once().quarantined == [segment.stem]


@pytest.mark.usefixtures("segment")
def test_a_worker_that_was_told_to_stop_and_then_killed_does_not_count(config):
    """As a deploy does: SIGTERM, ten seconds of grace, SIGKILL."""
    for _ in range(MAX + 1):
        job, stop = a_worker(config), threading.Event()

        def killed(*_args, stop=stop, **_kwargs):
            stop.set()
            beat_file = max(path for path in claims(config) if path.suffix == ".beat")
            wait_until(lambda: doing(beat_file.read_bytes()) == "stopping", what=lambda: "a word")
            raise PowerCut

        job._pipeline.run = killed
        with pytest.raises(PowerCut):
            job.run_once(stop)
    assert len(ETLJob(config).run_once().committed) == 1


def test_a_committed_segment_is_never_quarantined(config, segment):
    for _ in range(MAX):
        die(config, in_="parser")
    late = a_worker(config)
    commit = late._pipeline.run(
        f"raw/ready/coinbase/{segment.name}",
        segment=segment.stem,
        uid=late._backlog.identify(f"raw/ready/coinbase/{segment.name}")[1],
    )
    late._ledger.publish(commit)
    report = ETLJob(config).run_once()
    assert (report.already, report.quarantined) == (1, [])
    assert quarantined(config) == {}


def test_dying_at_any_change_of_the_quarantine_ends_in_quarantine(config, segment):
    raw = segment.read_bytes()
    died_in = []
    for at in range(20):
        if not segment.exists():
            for path in quarantined(config):
                (segment.parents[2] / "quarantine/coinbase" / path).unlink()
            segment.write_bytes(raw)
        for _ in range(MAX):
            die(config, in_="parser")
        storage = CrashingStorage(Path(config.storage.base_dir), at=at, after=bool(at % 2))
        try:
            a_worker(config, storage=storage, storage_output=storage).run_once()
        except PowerCut:
            died_in.append(storage.crashed_in)
        ETLJob(config).run_once()
        assert raw in quarantined(config).values(), storage.crashed_in
        assert len(quarantined(config)) == 2
        assert not segment.exists()
        assert claims(config) == [], storage.crashed_in
    for step in (".ndjson", "reason", "delete raw/ready", "delete raw/processing"):
        assert any(step in place for place in died_in), f"never died in {step}: {died_in}"


def test_something_else_under_its_name_is_not_replaced(config, segment):
    for _ in range(MAX):
        die(config, in_="parser")
    uid = ETLJob(config)._backlog.identify(f"raw/ready/coinbase/{segment.name}")[1]
    taken = segment.parents[2] / "quarantine/coinbase" / f"{segment.stem}.{uid}.ndjson"
    taken.parent.mkdir(parents=True, exist_ok=True)
    taken.write_bytes(b"something else")
    (error,) = ETLJob(config).run_once().failures.values()
    assert "compare the two" in str(error)
    assert taken.read_bytes() == b"something else"
    assert segment.exists()


def test_a_segment_that_was_put_back_is_tried_again(config, segment):
    for _ in range(MAX):
        die(config, in_="parser")
    ETLJob(config).run_once()
    (aside,) = (segment.parents[2] / "quarantine/coinbase").glob("*.ndjson")
    aside.rename(segment)
    assert len(ETLJob(config).run_once().committed) == 1
    assert fluxforge.scan(config, "level2").collect().height == 1


def test_what_a_beat_says():
    assert doing(beat(3, "parsing")) == "parsing"
    assert doing(b"7") is doing(b"") is doing(b"[]") is None


SEGFAULT = """
import ctypes, sys
from fluxforge.config import load_config
from fluxforge.etl import ETLJob
job = ETLJob(load_config(overrides={"storage": {"base_dir": sys.argv[1]}}))
job._pipeline.run = lambda *_, **__: ctypes.string_at(0)
job.run_once()
"""


def test_a_real_segfault_counts(config, segment):
    for _ in range(MAX):
        done = subprocess.run(
            [sys.executable, "-c", SEGFAULT, config.storage.base_dir],
            env=clean_environment() | {"PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )
        assert done.returncode == -signal.SIGSEGV
    assert ETLJob(config).run_once().quarantined == [segment.stem]


def test_kills_that_come_back_to_the_same_segment_do_not_blame_it(config, segment, monkeypatch):
    """A child of the worker parses it first, and survives: so it was not the segment."""
    monkeypatch.undo()
    for _ in range(MAX):
        die(config, in_="parser")
    assert len(ETLJob(config).run_once().committed) == 1
    assert quarantined(config) == {}
    assert not segment.exists()


@pytest.mark.parametrize("end", [crashing_parser.segfault, crashing_parser.killed])
def test_a_child_that_dies_is_told_from_one_that_survives(config, segment, monkeypatch, end):
    monkeypatch.undo()
    rehearsal = Rehearsal(config, source="coinbase", work=end)
    assert not rehearsal.survives("any", segment=segment.stem, uid="any")


def test_an_error_in_the_child_is_no_crash(config, monkeypatch):
    monkeypatch.undo()
    assert Rehearsal(config, source="coinbase").survives("missing", segment="none", uid="none")

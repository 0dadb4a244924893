"""The commands as a person uses them: signals, `run`, the demo, help and version."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib.metadata import version

import psutil
import pytest

import lake_rows
import oracle
import raw_segments
from processes import clean_environment, run, running, script, simulator, wait_until
from segments import level2, local, write_segment

PRODUCTS = "BTC-USD,ETH-USD"


def segments(data_dir, state):
    return sorted((data_dir / "raw" / state / "coinbase").glob("*.ndjson"))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_seals_the_open_segment_and_ends_well(signum, tmp_path):
    with (
        simulator("--products", PRODUCTS, journal=tmp_path / "journal.ndjson") as (url, _),
        running("fluxforge-ingest", "--url", url, cwd=tmp_path) as ingest,
    ):
        ingest.wait_for("connected to")
        time.sleep(0.5)
        assert ingest.stop(signum) == 0, ingest.output
    assert "Traceback" not in ingest.output
    assert segments(tmp_path / "data", "active") == []
    (sealed,) = segments(tmp_path / "data", "ready")
    last = json.loads(sealed.read_bytes().splitlines()[-1])
    sent = sum(1 for _ in oracle.journal_frames(tmp_path / "journal.ndjson"))
    assert last["seal"]["frames"] == sent


def test_a_second_ctrl_c_stops_at_once_and_nothing_durable_is_lost(tmp_path):
    with simulator("--products", PRODUCTS, journal=tmp_path / "journal.ndjson") as (url, exchange):
        with running("fluxforge-ingest", "--url", url, cwd=tmp_path) as ingest:
            ingest.wait_for("connected to")
            time.sleep(0.5)
            # A venue that does not answer the Close keeps the clean stop waiting.
            exchange.process.send_signal(signal.SIGSTOP)
            ingest.process.send_signal(signal.SIGINT)
            ingest.wait_for("press Ctrl-C again")
            assert ingest.stop(signal.SIGINT) == 130
            exchange.process.send_signal(signal.SIGCONT)
        (left,) = segments(tmp_path / "data", "active")
        durable = Counter(raw_segments.durable_frames(left))
        assert durable
        with running("fluxforge-ingest", "--url", url, cwd=tmp_path) as again:
            again.wait_for("connected to")
            assert again.stop() == 0
    recovered, _ = segments(tmp_path / "data", "ready")
    assert Counter(raw_segments.durable_frames(recovered)) >= durable


def test_run_records_and_turns_into_parquet_side_by_side(tmp_path):
    journal = tmp_path / "journal.ndjson"
    (tmp_path / "config.yaml").write_text(
        "ingestion: {segment_max_seconds: 0.5}\netl: {poll_interval: 0.1}\n"
    )
    commits = tmp_path / "data" / "processed" / "coinbase" / "_commits"
    with simulator("--products", PRODUCTS, journal=journal) as (url, exchange):
        with running("fluxforge", "run", "--url", url, cwd=tmp_path) as both:
            wait_until(lambda: len(list(commits.glob("*.json"))) >= 2, what=lambda: both.output)
            assert both.process.poll() is None
            assert both.stop() == 0, both.output
        assert exchange.stop() == 0
    assert segments(tmp_path / "data", "active") == segments(tmp_path / "data", "ready") == []
    sent = oracle.expected_rows(oracle.journal_frames(journal))
    assert lake_rows.counters(tmp_path / "data") == sent


def test_an_etl_that_dies_beside_a_capture_is_replaced(tmp_path):
    with (
        simulator("--products", PRODUCTS, journal=tmp_path / "journal.ndjson") as (url, _),
        running("fluxforge", "run", "--url", url, cwd=tmp_path) as both,
    ):
        both.wait_for("connected to")
        both.wait_for("looking for segments")
        (etl,) = spawned(both.process.pid)
        etl.kill()
        both.wait_for("was ended by SIGKILL; starting another now")
        assert both.stop() == 0, both.output
    assert segments(tmp_path / "data", "ready") == []


def test_an_etl_that_cannot_go_on_beside_a_capture_is_told_and_the_capture_goes_on(tmp_path):
    config = local(tmp_path / "data")
    write_segment(config, [level2("BTC-USD", 0, 100.5)])
    lakes = tmp_path / "data/raw/_lakes"
    lakes.mkdir()
    (lakes / "coinbase.json").write_text('{"lake": "another", "path": "/elsewhere"}')
    with (
        simulator("--products", PRODUCTS, journal=tmp_path / "journal.ndjson") as (url, _),
        running("fluxforge", "run", "--url", url, cwd=tmp_path) as both,
    ):
        both.wait_for("the ETL beside this capture has ended: exit code 2")
        both.wait_for("connected to")
        assert both.stop() == 2, both.output
    assert len(segments(tmp_path / "data", "ready")) == 2


def test_run_has_as_many_workers_as_are_configured(tmp_path):
    journal = tmp_path / "journal.ndjson"
    (tmp_path / "config.yaml").write_text(
        "ingestion: {segment_max_seconds: 0.3}\n"
        "etl: {workers: 2, poll_interval: 0.1, poll_interval_max: 0.1}\n"
    )
    commits = tmp_path / "data" / "processed" / "coinbase" / "_commits"
    with simulator("--products", PRODUCTS, journal=journal) as (url, exchange):
        with running("fluxforge", "run", "--url", url, cwd=tmp_path) as both:
            for name in ("etl-1", "etl-2"):
                both.wait_for(f"{name}: looking for segments")
            wait_until(lambda: len(list(commits.glob("*.json"))) >= 4, what=lambda: both.output)
            assert both.stop() == 0, both.output
        assert exchange.stop() == 0
    assert segments(tmp_path / "data", "active") == segments(tmp_path / "data", "ready") == []
    sent = oracle.expected_rows(oracle.journal_frames(journal))
    assert lake_rows.counters(tmp_path / "data") == sent


@pytest.mark.parametrize("end", ["SIGKILL", "a second Ctrl-C"])
def test_no_etl_outlives_its_capture(tmp_path, end):
    with (
        simulator("--products", PRODUCTS, journal=tmp_path / "journal.ndjson") as (url, exchange),
        running("fluxforge", "run", "--url", url, cwd=tmp_path) as both,
    ):
        both.wait_for("connected to")
        both.wait_for("looking for segments")
        (etl,) = spawned(both.process.pid)
        if end == "SIGKILL":
            both.kill()
        else:
            # A venue that does not answer the Close keeps the clean stop waiting.
            exchange.process.send_signal(signal.SIGSTOP)
            both.process.send_signal(signal.SIGINT)
            both.wait_for("press Ctrl-C again")
            assert both.stop() == 130
            exchange.process.send_signal(signal.SIGCONT)
        psutil.wait_procs([etl], timeout=30)
        assert not etl.is_running()


def spawned(pid):
    """The worker processes of a command, without multiprocessing's resource tracker."""
    children = psutil.Process(pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_the_demo_says_what_a_person_wants_to_know(tmp_path):
    done = run("fluxforge", "demo", "--seconds", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for fact in (
        r"Frames received +[\d,]+ \(the exchange sent [\d,]+\)",
        r"Durable lag +p50 [\d.]+ ms, p99 [\d.]+ ms",
        r"Segments +(\d+) sealed, \1 committed",
        r"Rows +candles [\d,]+, level2 [\d,]+, market_trades [\d,]+, status [\d,]+, ticker",
        r"Gaps +0",
        r"Rejected +0 frames",
        r"Balance +[\d,]+ frames = [\d,]+ into rows",
        r"Parquet +[\d,]+ files, [\d.]+ \wiB",
        r"Data +fluxforge-demo/",
        r"The lake equals what the exchange sent, row for row\.",
    ):
        assert re.search(fact, done.stdout), fact
    query = done.stdout.splitlines()[-1]
    tried = subprocess.run(
        shlex.split(query), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert tried.returncode == 0, tried.stderr
    assert "BTC-USD" in tried.stdout
    assert "Traceback" not in done.stderr


def test_the_demo_starts_anew_but_removes_nothing_of_others(tmp_path):
    first = run("fluxforge", "demo", "--seconds", "1", cwd=tmp_path)
    again = run("fluxforge", "demo", "--seconds", "1", cwd=tmp_path)
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("dear")
    refused = run("fluxforge", "demo", "--data-dir", "mine", cwd=tmp_path)
    assert refused.returncode == 2
    assert "mine is not empty" in refused.stderr
    assert (mine / "thesis.txt").read_text() == "dear"


def test_the_demo_takes_what_was_recorded_later_for_someone_elses(tmp_path):
    assert run("fluxforge", "demo", "--seconds", "1", cwd=tmp_path).returncode == 0
    later = tmp_path / "fluxforge-demo" / "raw" / "ready" / "coinbase" / "mine.ndjson"
    later.parent.mkdir(exist_ok=True, parents=True)
    later.write_text("{}")
    refused = run("fluxforge", "demo", "--seconds", "1", cwd=tmp_path)
    assert refused.returncode == 2
    assert "holds more than a demo's data" in refused.stderr
    assert later.exists()


@pytest.mark.parametrize("after", [0.05, 0.3, 1.0, 2.5])
def test_ctrl_c_to_the_whole_group_ends_the_demo_without_a_traceback(after, tmp_path):
    demo = subprocess.Popen(
        [script("fluxforge"), "demo", "--seconds", "2"],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    time.sleep(after)
    os.killpg(demo.pid, signal.SIGINT)
    output, _ = demo.communicate(timeout=60)
    # Before Python has got as far as our handlers, its own ends it.
    if after >= 1:
        assert "Traceback" not in output
        assert demo.returncode in {0, 130}, output


def test_run_refuses_storages_that_never_meet(tmp_path):
    (tmp_path / "config.yaml").write_text("ingestion: {storage: {base_dir: ./elsewhere}}\n")
    refused = run("fluxforge", "run", cwd=tmp_path)
    assert refused.returncode == 2
    assert "etl.storage_input" in refused.stderr


@pytest.mark.parametrize("command", [["fluxforge-ingest"], ["fluxforge-etl", "--once"]])
def test_a_source_that_is_no_feed_names_those_there_are(command, tmp_path):
    refused = run(*command, cwd=tmp_path, env={"FLUXFORGE__INGESTION__SOURCE": "kraken"})
    assert refused.returncode == 2
    assert "known feeds: coinbase" in refused.stderr


def test_two_ingesters_in_one_directory_are_told_apart(tmp_path):
    with (
        simulator("--products", PRODUCTS, journal=tmp_path / "journal.ndjson") as (url, _),
        running("fluxforge-ingest", "--url", url, cwd=tmp_path) as first,
    ):
        first.wait_for("connected to")
        second = run("fluxforge-ingest", "--url", url, cwd=tmp_path)
        assert second.returncode == 2
        assert "ingestion.writer_id" in second.stderr
        assert "Traceback" not in second.stderr
        named = {"FLUXFORGE__INGESTION__WRITER_ID": "second"}
        third = run("fluxforge-ingest", "--url", url, "--seconds", "1", cwd=tmp_path, env=named)
        assert third.returncode == 0, third.stderr
        assert first.stop() == 0
    assert len(segments(tmp_path / "data", "ready")) == 2


@pytest.mark.parametrize(
    "command",
    [
        ["fluxforge"],
        ["fluxforge", "--help"],
        ["fluxforge-ingest", "--help"],
        ["fluxforge-etl", "--help"],
        *(["fluxforge", name, "-h"] for name in ("demo", "ingest", "etl", "run", "sim", "config")),
    ],
)
def test_help(command, tmp_path):
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_version(tmp_path):
    assert run("fluxforge", "--version", cwd=tmp_path).stdout.strip() == (
        f"fluxforge {version('fluxforge')}"
    )


def test_python_dash_m(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fluxforge", "--version"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("fluxforge ")

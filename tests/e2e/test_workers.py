"""``fluxforge-etl --workers``: processes, as a person and an init system treat them."""

from __future__ import annotations

import signal

import psutil
import pytest

import fluxforge
from processes import run, running, wait_until
from segments import level2, local, write_segment

SEGMENTS = 6


@pytest.fixture
def config(tmp_path):
    (tmp_path / "config.yaml").write_text("etl: {poll_interval: 0.05, poll_interval_max: 0.05}\n")
    return local(tmp_path / "data")


def backlog(config, *, first=0):
    for number in range(first, first + SEGMENTS):
        write_segment(config, [level2("BTC-USD", number, 1.0 + number)])


def prices(config):
    return sorted(fluxforge.scan(config, "level2").collect()["price_level"])


def workers(supervisor):
    """The worker processes, without multiprocessing's resource tracker."""
    return [
        child
        for child in psutil.Process(supervisor.process.pid).children()
        if "spawn_main" in " ".join(child.cmdline())
    ]


def test_workers_share_a_backlog_and_end(config, tmp_path):
    backlog(config)
    done = run("fluxforge-etl", "--once", "--workers", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert prices(config) == [1.0 + number for number in range(SEGMENTS)]
    for name in ("etl-1: ", "etl-2: ", "etl-3: "):
        assert name in done.stderr


def test_a_killed_worker_is_replaced_and_ctrl_c_ends_all(config, tmp_path):
    with running("fluxforge-etl", "--workers", "2", cwd=tmp_path) as etl:
        etl.wait_for("etl-1: looking for segments")
        etl.wait_for("etl-2: looking for segments")
        victim, other = workers(etl)
        victim.kill()
        etl.wait_for("was ended by SIGKILL; starting another now")
        wait_until(lambda: len(workers(etl)) == 2, what=lambda: etl.output)
        assert other in workers(etl)
        backlog(config)
        wait_until(lambda: len(prices(config)) == SEGMENTS, what=lambda: etl.output)
        left = workers(etl)
        assert etl.stop() == 0, etl.output
    assert "Traceback" not in etl.output
    assert not any(child.is_running() for child in left)


@pytest.mark.parametrize("end", ["second Ctrl-C", "SIGKILL"])
def test_no_worker_outlives_its_supervisor(config, tmp_path, end):
    backlog(config)
    with running("fluxforge-etl", "--workers", "2", cwd=tmp_path) as etl:
        etl.wait_for("etl-2: looking for segments")
        children = workers(etl)
        if end == "SIGKILL":
            etl.kill()
        else:
            children[0].suspend()  # it will not end by itself
            etl.process.send_signal(signal.SIGINT)
            etl.wait_for("press Ctrl-C again")
            assert etl.stop() == 130
        _, alive = psutil.wait_procs(children, timeout=30)
        assert alive == []
    done = run("fluxforge-etl", "--once", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(prices(config)) == SEGMENTS


def test_what_only_the_user_can_mend_is_said_and_ends_all(config, tmp_path):
    backlog(config)
    lakes = tmp_path / "data/raw/_lakes"
    lakes.mkdir(parents=True)
    (lakes / "coinbase.json").write_text('{"lake": "another", "path": "/elsewhere"}')
    done = run("fluxforge-etl", "--workers", "2", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "the lake at /elsewhere" in done.stderr

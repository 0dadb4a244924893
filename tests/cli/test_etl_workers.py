"""The supervisor: who dies is replaced, who has ended has ended, and a stop reaches all."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import wait

import pytest

from fluxforge.cli.etl_workers import Supervisor, share
from fluxforge.config import FluxForgeConfig


class FakeWorker:
    """A worker whose end the test decides: at once with a code, or when it is told to stop."""

    def __init__(self, code: int | None):
        self.sentinel, self._end = os.pipe()
        self.code = code
        self.stopped = self.finished = self.killed = False
        if code is not None:
            os.close(self._end)

    def stop(self):
        if self.code is None:
            self.stopped, self.code = True, 0
            os.close(self._end)

    def finish(self):
        self.finished = True
        self.stop()

    def wait(self):
        return self.code

    def terminate(self):
        self.killed = True
        if self.code is None:
            self.code = -signal.SIGKILL
            os.close(self._end)


@pytest.fixture
def supervise():
    """Run a supervisor over workers that end with these codes in turn; None: not by themselves."""

    def run(*codes, count=2, watch=False, stop_after=None, stop=Supervisor.stop):
        started = []

        def start(name):
            worker = FakeWorker(codes[len(started)] if len(started) < len(codes) else None)
            started.append((name, worker))
            if len(started) == stop_after:
                stop(supervisor)
            return worker

        now = 0.0

        def wait_for(descriptors, pause):
            nonlocal now
            ready = wait(descriptors, 0 if pause is not None else 30)
            now += 0 if ready else pause  # the pause is over
            return ready

        supervisor = Supervisor(
            start, count=count, watch=watch, monotonic=lambda: now, wait_for=wait_for
        )
        return supervisor.run(), started

    return run


def test_workers_that_end_by_themselves_have_ended(supervise):
    code, started = supervise(0, 1)
    assert code == 1
    assert [name for name, _ in started] == ["etl-1", "etl-2"]


def test_a_worker_that_was_killed_is_replaced_and_forgotten(supervise):
    code, started = supervise(-signal.SIGKILL, 0, 0)
    assert code == 0
    assert [name for name, _ in started] == ["etl-1", "etl-2", "etl-1"]


def test_a_worker_that_dies_again_and_again_is_given_up_where_it_should_end(supervise, caplog):
    code, started = supervise(*[-signal.SIGSEGV] * 10, count=1)
    assert code == 1
    assert len(started) == 10
    assert "ended by SIGSEGV, the 10th time in a row: given up" in caplog.text


def test_a_watching_worker_is_replaced_for_ever(supervise):
    code, started = supervise(*[-signal.SIGSEGV, 1, 0] * 7, count=1, watch=True, stop_after=22)
    assert code == 0
    assert len(started) == 22
    assert started[-1][1].stopped


def test_what_only_the_user_can_mend_ends_all(supervise):
    code, started = supervise(None, 2, watch=True)
    assert code == 2
    assert len(started) == 2
    assert started[0][1].stopped


def test_a_stop_reaches_every_worker(supervise):
    code, started = supervise(count=3, watch=True, stop_after=3)
    assert code == 0
    assert all(worker.stopped for _, worker in started)


def test_who_is_to_finish_is_told_so(supervise):
    code, started = supervise(count=2, watch=True, stop_after=2, stop=Supervisor.finish)
    assert code == 0
    assert all(worker.finished for _, worker in started)


def test_who_was_killed_on_purpose_is_not_replaced(supervise):
    # The kill comes from another thread, while the second worker is being started.
    code, started = supervise(count=2, watch=True, stop_after=2, stop=Supervisor.kill)
    assert code == 1
    assert len(started) == 2
    assert started[0][1].killed
    assert started[1][1].stopped, "it would go on for ever"


def test_an_error_of_the_supervisor_leaves_no_worker_behind():
    started = []

    def start(_name):
        if started:
            raise OSError("no more processes")
        started.append(FakeWorker(None))
        return started[0]

    with pytest.raises(OSError, match="no more processes"):
        Supervisor(start, count=2, watch=True).run()
    assert started[0].killed


def test_workers_share_the_memory():
    config = FluxForgeConfig.model_validate({"etl": {"memory_max_mb": 1024}})
    assert share(config, 4).etl.memory_max_mb == 256
    assert share(config, 1) == config
    assert share(config, 10_000).etl.memory_max_mb == 2

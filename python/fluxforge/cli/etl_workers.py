"""Several ETL processes under one supervisor, which starts, replaces and ends them.

They know nothing of each other: claims keep them apart, as they do machines. A worker that dies
costs what it had in hand, which another one takes over at once.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, Protocol

from fluxforge.config import FluxForgeConfig

log = logging.getLogger(__name__)

USER_MUST_ACT = 2  # an exit code that no restart can mend
_STOP, _FINISH = b"s", b"f"
_LONGEST_PAUSE = 60.0
_HEALTHY = 60.0  # a worker that lived so many seconds died of something new
_DEATHS = 10  # in a row, before a worker that should end by itself is given up


class Worker(Protocol):
    """What the supervisor needs of a process; ``EtlProcess`` is one."""

    @property
    def sentinel(self) -> int:
        """A descriptor that becomes readable when the process ends."""

    def stop(self) -> None:
        """Tell it to end after the segment in hand."""

    def finish(self) -> None:
        """Tell it to end after the segments that are ready by now."""

    def wait(self) -> int:
        """Wait for its end; return its exit code, or the signal that ended it, negated."""

    def terminate(self) -> None:
        """Stop it at once."""


@dataclass(slots=True)
class _Slot:
    """One worker's place: whoever dies in it is replaced."""

    name: str
    worker: Worker | None = None
    started: float = 0.0
    deaths: int = 0
    due: float | None = 0.0  # when to start the next one; None: not any more


class Supervisor:
    """Keeps so many workers running until they are done, or told to stop.

    Args:
        start: Starts a worker, given its name.
        count: How many.
        watch: Whether they should run until told to stop; else each ends by itself.
        monotonic: Clock in seconds.
        wait_for: Waits until one of some descriptors is readable, at most so many seconds.
    """

    def __init__(
        self,
        start: Callable[[str], Worker],
        *,
        count: int,
        watch: bool,
        monotonic: Callable[[], float] = time.monotonic,
        wait_for: Callable[[list[int], float | None], list[Any]] = wait,
    ) -> None:
        self._start = start
        self._wait_for = wait_for
        self._watch = watch
        self._monotonic = monotonic
        self._slots = [_Slot(f"etl-{number + 1}") for number in range(count)]
        self._stopping = False
        self._exit_code = 0
        # A signal's handler writes here: a flag would not end the wait for the workers.
        self._woken, self._wake = os.pipe()

    def stop(self) -> None:
        """Have all workers end after the segment in hand. Safe in a signal's handler."""
        os.write(self._wake, _STOP)

    def finish(self) -> None:
        """Have all workers end after the segments that are ready by now."""
        os.write(self._wake, _FINISH)

    def kill(self) -> None:
        """End all workers at once; claims and parts are left as after any crash."""
        self._stopping = True
        os.write(self._wake, _STOP)  # for who is being started this moment, in another thread
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.terminate()

    def run(self) -> int:
        """Supervise until all have ended.

        Returns:
            The worst of the workers' exit codes; a worker that died and was replaced has none.
        """
        try:
            while self._start_what_is_due():
                self._wait()
        except BaseException:
            self.kill()
            raise
        return self._exit_code

    def _start_what_is_due(self) -> bool:
        """Start workers whose time has come; say whether any runs or will."""
        now = self._monotonic()
        for slot in self._slots:
            if self._stopping:
                slot.due = None
            if slot.worker is None and slot.due is not None and slot.due <= now:
                slot.worker, slot.started, slot.due = self._start(slot.name), now, None
        return any(slot.worker is not None or slot.due is not None for slot in self._slots)

    def _wait(self) -> None:
        running = {slot.worker.sentinel: slot for slot in self._slots if slot.worker is not None}
        due = [slot.due for slot in self._slots if slot.due is not None]
        pause = max(0.0, min(due) - self._monotonic()) if due else None
        ready = self._wait_for([*running, self._woken], pause)
        if self._woken in ready:
            self._end_all(os.read(self._woken, 1))
        for sentinel, slot in running.items():
            if sentinel in ready:
                self._ended(slot)

    def _end_all(self, word: bytes) -> None:
        self._stopping = True
        for slot in self._slots:
            slot.due = None
            if slot.worker is not None:
                slot.worker.finish() if word == _FINISH else slot.worker.stop()

    def _ended(self, slot: _Slot) -> None:
        assert slot.worker is not None  # noqa: S101 - only who runs can end
        code = slot.worker.wait()
        slot.worker = None
        if self._stopping or (code >= 0 and not self._watch):
            self._exit_code = max(self._exit_code, code, int(code < 0))
        elif code == USER_MUST_ACT:
            self._exit_code = code  # its log says what to do; the others would say the same
            self._end_all(_STOP)
        else:
            self._replace(slot, code)

    def _replace(self, slot: _Slot, code: int) -> None:
        now = self._monotonic()
        slot.deaths = 1 if now - slot.started >= _HEALTHY else slot.deaths + 1
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        if slot.deaths >= _DEATHS and not self._watch:
            log.error("worker %s %s, the %dth time in a row: given up", slot.name, how, _DEATHS)
            self._exit_code = max(self._exit_code, 1)
            return
        pause = 0.0 if slot.deaths == 1 else min(2.0 ** (slot.deaths - 2), _LONGEST_PAUSE)
        slot.due = now + pause
        when = f"in {pause:g} s" if pause else "now"
        log.error("worker %s %s; starting another %s", slot.name, how, when)


def share(config: FluxForgeConfig, count: int) -> FluxForgeConfig:
    """Return the configuration for one of so many workers of a machine.

    They share ``etl.memory_max_mb``; as it says where large segments are cut into parts, another
    number of workers makes other parts of the same rows.
    """
    smallest = 2
    memory = max(smallest, config.etl.memory_max_mb // count)
    etl = config.etl.model_copy(update={"memory_max_mb": memory})
    return config.model_copy(update={"etl": etl})

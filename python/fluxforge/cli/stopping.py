"""Ctrl-C: the first stops cleanly, the second at once."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

log = logging.getLogger(__name__)

EXIT_AT_ONCE = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_on_signals(
    request_stop: Callable[[], object],
    *,
    saying: str,
    at_once: Callable[[], object] = lambda: None,
) -> None:
    """Call ``request_stop`` on the first SIGINT or SIGTERM; leave the process on the second.

    Leaving at once loses nothing durable: what is in active/ is recovered by the next start.

    Args:
        request_stop: Called in the main thread; must only set a flag.
        saying: What the log says the stop is doing.
        at_once: Called on the second signal, before the process leaves.
    """
    asked = False

    def on_signal(signum: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            at_once()
            os._exit(EXIT_AT_ONCE)
        asked = True
        log.info("%s: %s; press Ctrl-C again to stop at once", signal.Signals(signum).name, saying)
        request_stop()

    _handle(on_signal)


def leave_on_signals() -> None:
    """Leave the process on the first SIGINT or SIGTERM: there is nothing left to stop cleanly."""
    _handle(lambda _signum, _frame: os._exit(EXIT_AT_ONCE))


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back for a block, and for the processes that start in it.

    A process that starts otherwise dies of a Ctrl-C to the whole group before it can say that its
    parent decides.
    """
    # The first spawn starts multiprocessing's tracker, which lets both signals through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_stopping_to_the_parent() -> None:
    """Ignore SIGINT and SIGTERM, and no longer hold them back."""
    for signum in _SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _handle(handler: Callable[[int, FrameType | None], object]) -> None:
    for signum in _SIGNALS:
        signal.signal(signum, handler)

"""Ctrl-C: the first stops cleanly, the second at once."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from types import FrameType

log = logging.getLogger(__name__)

EXIT_AT_ONCE = 130


def stop_on_signals(request_stop: Callable[[], object], *, saying: str) -> None:
    """Call ``request_stop`` on the first SIGINT or SIGTERM; leave the process on the second.

    Leaving at once loses nothing durable: what is in active/ is recovered by the next start.

    Args:
        request_stop: Called in the main thread; must only set a flag.
        saying: What the log says the stop is doing.
    """
    asked = False

    def on_signal(signum: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(EXIT_AT_ONCE)
        asked = True
        log.info("%s: %s; press Ctrl-C again to stop at once", signal.Signals(signum).name, saying)
        request_stop()

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, on_signal)

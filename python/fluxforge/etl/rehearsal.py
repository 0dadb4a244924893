"""Whether a segment kills its parser, tried where nobody else dies of it: in a child process.

That workers died while they parsed a segment proves little: careless restarts kill too, and come
back to the same segment. A child that dies while its parent looks on proves it.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress

from fluxforge.config import FluxForgeConfig

_SIGNALS = {signal.SIGINT, signal.SIGTERM}


class Rehearsal:
    """Parses a segment in a child process, for nothing but to see whether it survives.

    Args:
        config: As for the job.
        source: The feed.
        work: What the child does, called with config, source, key, label and identity; can be
            pickled.
    """

    def __init__(
        self,
        config: FluxForgeConfig,
        *,
        source: str,
        work: Callable[[FluxForgeConfig, str, str, str, str], object] | None = None,
    ) -> None:
        self._config = config
        self._source = source
        self._work = work or _parse

    def survives(self, key: str, *, segment: str, uid: str) -> bool:
        """Parse the segment at a key and write its parts, as before a commit."""
        child = multiprocessing.get_context("spawn").Process(
            target=self._work,
            args=(self._config, self._source, key, segment, uid),
            name=f"rehearsal-{segment}",
        )
        # What this process inherits it keeps: a Ctrl-C to the whole group is no crash.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            child.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        child.join()
        return child.exitcode == 0


def _parse(config: FluxForgeConfig, source: str, key: str, segment: str, uid: str) -> None:
    from fluxforge.etl.job import ETLJob  # noqa: PLC0415 - it imports this module

    with suppress(Exception):  # an error is no crash; the worker will meet it, and tell it
        ETLJob(config, source=source).rehearse(key, segment=segment, uid=uid)

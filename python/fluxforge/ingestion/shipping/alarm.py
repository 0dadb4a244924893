"""What is said about uploads that do not get on: once when it begins, now and then, and at its end.

A failure is an error with its reason. An upload that neither fails nor ends has no reason to give:
what tells then is how long bytes have waited.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from fluxforge.errors import StorageError
from fluxforge.ingestion.shipping.backlog import Waiting

log = logging.getLogger(__name__)

_REMIND_SECONDS = 60.0


class Alarm:
    """Tells of one spool's uploads.

    Args:
        ready: Where sealed segments wait.
        patience: Seconds that bytes may wait before that is told as such.
        monotonic: Clock in seconds.
    """

    def __init__(
        self,
        ready: Path,
        *,
        patience: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ready = ready
        self._patience = max(patience, _REMIND_SECONDS)
        self._monotonic = monotonic
        self._told_at = float("-inf")
        self._told_segments = 0
        self.error: str | None = None

    def passed(self, error: StorageError | None, waiting: Waiting) -> None:
        """Tell how a pass over the spool ended."""
        before, self.error = self.error, None if error is None else str(error)
        if self.error is None:
            if before is not None:
                log.info("uploads go on; the spool is empty")
                self._told_segments = 0
        elif self.error != before or waiting.segments > self._told_segments or self._is_time():
            self._told_at, self._told_segments = self._monotonic(), waiting.segments
            log.error(
                "%s. Capture goes on: %d sealed segments (%d MiB) wait in %s",
                self.error.removesuffix("."),
                waiting.segments,
                waiting.bytes >> 20,
                self._ready,
            )

    def look(self, waiting: Waiting) -> None:
        """Tell if uploads stand still without a word."""
        if waiting.seconds > self._patience and self._is_time():
            self._told_at = self._monotonic()
            log.error(
                "uploads stand still: %d MiB have waited for up to %.0f s in the spool of %s, and "
                "would be lost with this machine. Look at the network and at the storage",
                waiting.bytes >> 20,
                waiting.seconds,
                self._ready,
            )

    def _is_time(self) -> bool:
        return self._monotonic() - self._told_at > _REMIND_SECONDS

"""Runs the ETL job again and again until told to stop."""

from __future__ import annotations

import random
import threading
from typing import Self

from fluxforge.config import ETLConfig
from fluxforge.etl.job import ETLJob
from fluxforge.etl.report import JobReport

_JITTER = 0.1


class ETLWatcher:
    """Looks for ready segments: again at once after work, ever less often while there is none.

    Each look lists a directory, which is what an idle ETL on S3 pays for.

    Args:
        job: What to run.
        poll_interval: Seconds between two looks when nothing was found; doubles with each that
            finds nothing.
        poll_interval_max: Seconds at most; ``poll_interval`` if not given, or if that is more.
        chance: Keeps workers that started together from looking together.
    """

    def __init__(
        self,
        job: ETLJob,
        *,
        poll_interval: float,
        poll_interval_max: float | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._job = job
        self._poll_interval = poll_interval
        self._poll_interval_max = max(poll_interval, poll_interval_max or 0)
        self._chance = chance or random.Random()  # noqa: S311 - no secret
        self._pause = poll_interval

    @classmethod
    def configured(cls, config: ETLConfig, job: ETLJob) -> Self:
        """Return a watcher that pauses as the configuration says."""
        return cls(
            job, poll_interval=config.poll_interval, poll_interval_max=config.poll_interval_max
        )

    def run(self, stop: threading.Event) -> int:
        """Process until ``stop`` is set; the segment in hand is finished first.

        Returns:
            The worst exit code of all passes.
        """
        exit_code = 0
        while not stop.is_set():
            report = self._job.run_once(stop)
            exit_code = max(exit_code, report.exit_code)
            stop.wait(self.pause_after(report) * self._chance.uniform(1 - _JITTER, 1 + _JITTER))
        return exit_code

    def pause_after(self, report: JobReport) -> float:
        """Return the seconds until the next look, given what the last one found."""
        if report.committed:
            self._pause = self._poll_interval
            return 0.0
        pause = self._pause
        self._pause = min(2 * pause, self._poll_interval_max)
        return pause

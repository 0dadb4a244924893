"""Runs the ETL job again and again until told to stop."""

from __future__ import annotations

import threading

from fluxforge.etl.job import ETLJob


class ETLWatcher:
    """Looks for ready segments at an interval.

    Args:
        job: What to run.
        poll_interval: Seconds between two looks when nothing was found.
    """

    def __init__(self, job: ETLJob, *, poll_interval: float) -> None:
        self._job = job
        self._poll_interval = poll_interval

    def run(self, stop: threading.Event) -> int:
        """Process until ``stop`` is set; the segment in hand is finished first.

        Returns:
            The worst exit code of all passes.
        """
        exit_code = 0
        while not stop.is_set():
            report = self._job.run_once(stop)
            exit_code = max(exit_code, report.exit_code)
            if not report.committed:
                stop.wait(self._poll_interval)
        return exit_code

"""The ETL in this process: once, or until told to stop."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from fluxforge.config import FluxForgeConfig

if TYPE_CHECKING:
    from fluxforge.etl import ETLJob

log = logging.getLogger(__name__)


def run_etl(config: FluxForgeConfig, *, watch: bool, stop: threading.Event) -> tuple[ETLJob, int]:
    """Process segments; what is in hand when ``stop`` is set is finished first.

    Args:
        config: Where they lie, and how they become parts.
        watch: Go on looking for more until told to stop.
        stop: Set to end.

    Returns:
        The job, to be run again, and the exit code.
    """
    # Imported here: `--help` does not need pyarrow.
    from fluxforge.etl import ETLJob, ETLWatcher  # noqa: PLC0415

    job = ETLJob(config)
    log.info("looking for segments in %s", job.ready)
    if watch:
        return job, ETLWatcher.configured(config.etl, job).run(stop)
    report = job.run_once(stop)
    log.info(
        "%d segments committed, %d were committed before, %d are in other workers' hands, "
        "%d went to quarantine, %d failed",
        len(report.committed),
        report.already,
        report.held,
        len(report.quarantined),
        len(report.failures),
    )
    return job, report.exit_code

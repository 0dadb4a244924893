"""``fluxforge etl``: turn ready segments into Parquet."""

from __future__ import annotations

import logging
import os
import threading
from typing import Annotated

import typer

from fluxforge.cli.options import (
    ConfigOption,
    DataDirOption,
    VerboseOption,
    configure,
    configure_logging,
)
from fluxforge.cli.stopping import stop_on_signals
from fluxforge.config import FluxForgeConfig
from fluxforge.errors import StorageAccessError
from fluxforge.storage.factory import create_storage_backend

log = logging.getLogger(__name__)


def etl(
    *,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch/--once", help="Go on looking for segments, or process what is ready and end."
        ),
    ] = True,
    verbose: VerboseOption = False,
) -> None:
    """Turn ready segments into committed Parquet."""
    configure_logging(verbose=verbose)
    settings = configure(config, data_dir)
    # Imported here: `--help` does not need pyarrow.
    from fluxforge.etl import ETLJob, ETLWatcher  # noqa: PLC0415

    _check_directory(settings)
    stop = threading.Event()
    stop_on_signals(stop.set, saying="finishing the segment in hand")
    job = ETLJob(settings)
    log.info("looking for segments in %s", job.ready)
    if watch:
        exit_code = ETLWatcher.configured(settings.etl, job).run(stop)
    else:
        report = job.run_once(stop)
        exit_code = report.exit_code
        log.info(
            "%d segments committed, %d were committed before, %d are in other workers' hands, "
            "%d went to quarantine, %d failed",
            len(report.committed),
            report.already,
            report.held,
            len(report.quarantined),
            len(report.failures),
        )
    raise typer.Exit(exit_code)


def _check_directory(settings: FluxForgeConfig) -> None:
    """Say so where the data directory is none, or not there yet: it may be a slip of the pen."""
    directory = create_storage_backend(settings.etl_input_storage()).local_path("")
    if directory is None or directory.is_dir():
        return
    nearest = next(path for path in (directory, *directory.parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise StorageAccessError(
            f"{directory} is no directory and cannot become one. Set --data-dir or "
            "storage.base_dir."
        )
    log.warning("%s does not exist yet; is --data-dir right?", directory)

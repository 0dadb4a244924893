"""``fluxforge etl``: turn ready segments into Parquet."""

from __future__ import annotations

import logging
import os
import threading
from typing import Annotated

import typer

from fluxforge.cli.etl_loop import run_etl
from fluxforge.cli.etl_supervised import supervised
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
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            "-w",
            min=1,
            help="Processes that work side by side (etl.workers). Default: 1",
            show_default=False,
        ),
    ] = None,
    verbose: VerboseOption = False,
) -> None:
    """Turn ready segments into committed Parquet."""
    configure_logging(verbose=verbose)
    settings = configure(config, data_dir, workers=workers)
    _check_directory(settings)
    if settings.etl.workers > 1:
        raise typer.Exit(_supervise(settings, watch=watch, verbose=verbose))
    stop = threading.Event()
    stop_on_signals(stop.set, saying="finishing the segment in hand")
    _, exit_code = run_etl(settings, watch=watch, stop=stop)
    raise typer.Exit(exit_code)


def _supervise(settings: FluxForgeConfig, *, watch: bool, verbose: bool) -> int:
    workers = supervised(settings, watch=watch, verbose=verbose)
    stop_on_signals(workers.stop, saying="finishing the segments in hand", at_once=workers.kill)
    return workers.run()


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

"""``fluxforge run``: ingest and ETL with one command."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import typer

from fluxforge.cli.etl_process import BESIDE_A_CAPTURE
from fluxforge.cli.etl_supervised import supervised
from fluxforge.cli.ingest import record
from fluxforge.cli.options import (
    ChannelsOption,
    ConfigOption,
    DataDirOption,
    ProductsOption,
    UrlOption,
    VerboseOption,
    configure,
    configure_logging,
)
from fluxforge.config import FluxForgeConfig
from fluxforge.errors import ConfigError

log = logging.getLogger(__name__)


def run(
    *,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    url: UrlOption = None,
    product: ProductsOption = None,
    channel: ChannelsOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Record a live feed and turn it into Parquet beside it, until Ctrl-C."""
    configure_logging(verbose=verbose)
    settings = configure(config, data_dir, url=url, products=product, channels=channel)
    if not settings.etl_reads_what_is_recorded():
        raise ConfigError(
            "ingestion.storage and etl.storage_input are different places, so this ETL would never "
            "see what is recorded here. Run `fluxforge ingest` and `fluxforge etl` on their own, "
            "or make the two equal."
        )
    raise typer.Exit(asyncio.run(_run(settings, verbose=verbose)))


async def _run(settings: FluxForgeConfig, *, verbose: bool) -> int:
    workers = supervised(settings, niceness=BESIDE_A_CAPTURE, verbose=verbose)
    with ThreadPoolExecutor(1, "etl") as thread:
        etl = asyncio.get_running_loop().run_in_executor(thread, workers.run)
        etl.add_done_callback(_complain)
        try:
            await record(settings, at_once=workers.kill)
        except BaseException:
            workers.kill()
            raise
        finally:
            etl.remove_done_callback(_complain)
        workers.finish()
        return await etl


def _complain(etl: asyncio.Future[int]) -> None:
    """Capture goes on without its ETL, as segments wait in ready/; but nobody should miss it."""
    log.error(
        "the ETL beside this capture has ended: %s. Segments wait in ready/ and capture goes on: "
        "mend it, then run `fluxforge etl` in another terminal",
        etl.exception() or f"exit code {etl.result()}, for the reason above",
    )

"""``fluxforge run``: ingest and ETL with one command."""

from __future__ import annotations

import asyncio
import logging

import typer

from fluxforge.cli.etl_process import EtlProcess
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
    etl = EtlProcess(settings, verbose=verbose)
    loop = asyncio.get_running_loop()
    loop.add_reader(etl.sentinel, _complain, loop, etl)
    try:
        await record(settings)
    except BaseException:
        etl.terminate()
        raise
    finally:
        loop.remove_reader(etl.sentinel)
    return await asyncio.to_thread(etl.finish)


def _complain(loop: asyncio.AbstractEventLoop, etl: EtlProcess) -> None:
    """Capture goes on without its ETL, as segments wait in ready/; but nobody should miss it."""
    loop.remove_reader(etl.sentinel)
    log.error(
        "the ETL beside this capture has ended; segments wait in ready/. Capture goes on: "
        "run `fluxforge etl` in another terminal"
    )

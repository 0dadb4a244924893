"""``fluxforge ingest``: record a live feed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

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
from fluxforge.cli.report import describe
from fluxforge.cli.stopping import stop_on_signals
from fluxforge.config import FluxForgeConfig

if TYPE_CHECKING:
    from fluxforge.ingestion import IngestionPipeline

log = logging.getLogger(__name__)

_REPORT_SECONDS = 10.0


def ingest(
    *,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    url: UrlOption = None,
    product: ProductsOption = None,
    channel: ChannelsOption = None,
    seconds: Annotated[
        float | None, typer.Option(help="Stop by itself after this long.", min=0)
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be connected to, and stop there.")
    ] = False,
    events_per_second: Annotated[
        float,
        typer.Option(help="For --plan: how often the market of a product changes.", min=0),
    ] = 10.0,
    verbose: VerboseOption = False,
) -> None:
    """Record a live feed into durable segments until Ctrl-C."""
    configure_logging(verbose=verbose)
    settings = configure(config, data_dir, url=url, products=product, channels=channel)
    if plan:
        from fluxforge.cli.ingest_plan import plan_lines  # noqa: PLC0415 - as in `record`

        for line in plan_lines(settings, events_per_second=events_per_second):
            typer.echo(line)
        return
    asyncio.run(record(settings, seconds=seconds))


async def record(
    settings: FluxForgeConfig,
    *,
    seconds: float | None = None,
    at_once: Callable[[], object] = lambda: None,
) -> None:
    """Ingest until a signal, or for some seconds; log the counters now and then.

    Args:
        settings: What to record, and where to.
        seconds: When to stop by itself.
        at_once: Called on the second signal, before the process leaves.
    """
    # Imported here: `--help` and `config` need neither websockets nor the extension.
    from fluxforge.ingestion import IngestionPipeline  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    stop_on_signals(
        lambda: loop.call_soon_threadsafe(stop.set),
        saying="sealing the open segment",
        at_once=at_once,
    )
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    pipeline = IngestionPipeline(settings)
    reporter = asyncio.create_task(_report(pipeline))
    try:
        await pipeline.run(stop)
    finally:
        reporter.cancel()
    log.info("stopped; %s", describe(pipeline.stats()))


async def _report(pipeline: IngestionPipeline) -> None:
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        log.info("%s", describe(pipeline.stats()))

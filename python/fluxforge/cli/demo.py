"""``fluxforge demo``: the whole way of the data on one machine, checked against its source.

Three processes: the simulated exchange, the capture (this one) and the ETL. At the end the lake
is compared with the exchange's own journal of what it sent.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from fluxforge.cli.demo_directory import demo_directory
from fluxforge.cli.demo_progress import Progress
from fluxforge.cli.demo_verdict import judge, print_verdict
from fluxforge.cli.etl_process import EtlProcess
from fluxforge.cli.options import VerboseOption, configure_logging
from fluxforge.cli.stopping import (
    leave_on_signals,
    leave_stopping_to_the_parent,
    signals_held_back,
    stop_on_signals,
)
from fluxforge.config import (
    CoinbaseConfig,
    ETLConfig,
    FluxForgeConfig,
    IngestionConfig,
    StorageConfig,
)

if TYPE_CHECKING:
    from fluxforge.ingestion.orchestrators import IngestionStats

_CHANNELS = (
    "level2",
    "ticker",
    "ticker_batch",
    "market_trades",
    "candles",
    "status",
    "heartbeats",
)
_SEGMENTS = 4


def demo(
    *,
    seconds: Annotated[float, typer.Option(help="How long to record.", min=1)] = 10,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", "-d", help="Where the demo's data goes.")
    ] = Path("./fluxforge-demo"),
    rate: Annotated[float, typer.Option(help="Market events per second.", min=0)] = 2000,
    seed: Annotated[int, typer.Option(help="The market's seed.")] = 1,
    verbose: VerboseOption = False,
) -> None:
    """Record a simulated exchange, turn it into Parquet and check every row of it."""
    configure_logging(verbose=verbose)
    if not verbose:
        logging.getLogger().setLevel(logging.WARNING)
    with demo_directory(data_dir) as journal:
        raise typer.Exit(_demonstrate(journal, seconds, rate=rate, seed=seed, verbose=verbose))


def _demonstrate(journal: Path, seconds: float, *, rate: float, seed: int, verbose: bool) -> int:
    """Record, turn into Parquet, compare; return the exit code."""
    data_dir = journal.parent
    with _exchange(journal, rate=rate, seed=seed) as (url, products):
        settings = FluxForgeConfig(
            storage=StorageConfig(base_dir=str(data_dir)),
            ingestion=IngestionConfig(
                segment_max_seconds=max(1.0, seconds / _SEGMENTS), min_free_mb=16
            ),
            etl=ETLConfig(poll_interval=0.5, poll_interval_max=0.5),
            coinbase=CoinbaseConfig(ws_url=url, products=products, channels=_CHANNELS),
        )
        etl = EtlProcess(settings, verbose=verbose, quiet=not verbose)
        try:
            stats = asyncio.run(_record(settings, seconds))
        except BaseException:
            etl.terminate()
            raise
        leave_on_signals()
        etl.finish()
        etl_exit_code = etl.wait()
    verdict = judge(settings, journal)
    print_verdict(verdict, stats, data_dir=data_dir)
    return 0 if verdict.good and etl_exit_code == 0 else 1


async def _record(settings: FluxForgeConfig, seconds: float) -> IngestionStats:
    from fluxforge.ingestion import IngestionPipeline  # noqa: PLC0415 - `--help` needs it not

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    stop_on_signals(lambda: loop.call_soon_threadsafe(stop.set), saying="ending the demo early")
    loop.call_later(seconds, stop.set)
    pipeline = IngestionPipeline(settings)
    with Progress(seconds) as progress:
        showing = asyncio.create_task(progress.follow(pipeline.stats))
        try:
            await pipeline.run(stop)
        finally:
            showing.cancel()
    return cast("IngestionStats", pipeline.stats())  # run() has returned, so there are some


@contextmanager
def _exchange(journal: Path, *, rate: float, seed: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Run the simulated exchange in a process; yield its URL and what it trades."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(
        target=_serve, args=(theirs, journal, rate, seed), name="fluxforge-sim", daemon=True
    )
    with signals_held_back():
        process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join()


def _serve(pipe: Connection, journal: Path, rate: float, seed: int) -> None:
    leave_stopping_to_the_parent()
    from fluxforge.sim import DEFAULT_PRODUCTS, SimulatedExchange  # noqa: PLC0415

    async def serve() -> None:
        async with SimulatedExchange(rate=rate, seed=seed, journal=journal) as exchange:
            with suppress(BrokenPipeError):  # the demo was ended before it began
                pipe.send((exchange.url, tuple(product.id for product in DEFAULT_PRODUCTS)))
                # Returns when the demo closes its end, or is gone.
                await asyncio.to_thread(pipe.poll, None)

    asyncio.run(serve())

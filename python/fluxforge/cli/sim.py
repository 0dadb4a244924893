"""``fluxforge sim``: serve the simulated exchange until told to stop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fluxforge.cli.stopping import stop_on_signals

if TYPE_CHECKING:
    from fluxforge.sim import SimulatedExchange


def sim(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 lets the system choose.")
    ] = 0,
    rate: Annotated[
        float,
        typer.Option(min=0, help="Market events per second; 0: as fast as clients take them."),
    ] = 100.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same market.")] = 1,
    products: Annotated[
        str, typer.Option(help="How many of the default products, or ids: BTC-USD,ETH-USD.")
    ] = "20",
    snapshot_levels: Annotated[
        int, typer.Option(min=1, help="Levels of the deepest book (BTC-USD live: 44000).")
    ] = 1000,
    lose: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the frames to withhold: gaps.")
    ] = 0.0,
    journal: Annotated[
        Path | None, typer.Option(help="Write every frame sent to this NDJSON file.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve a simulated Coinbase exchange until Ctrl-C."""
    # Imported here: every other command should start without websockets.
    from fluxforge.sim import SimulatedExchange, choose_products  # noqa: PLC0415

    choice = int(products) if products.isdecimal() else products.split(",")
    try:
        exchange = SimulatedExchange(
            products=choose_products(choice),
            rate=rate,
            seed=seed,
            snapshot_levels=snapshot_levels,
            lose=lose,
            journal=journal,
            host=host,
            port=port,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        asyncio.run(_serve(exchange))
    except OSError as error:
        target = f"{journal}" if error.filename is not None else f"{host}:{port}"
        typer.echo(
            f"fluxforge sim: cannot use {target}: {error.strerror or error}. "
            "Choose another one, or stop what holds it.",
            err=True,
        )
        raise typer.Exit(2) from error


async def _serve(exchange: SimulatedExchange) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def request_stop() -> None:
        loop.call_soon_threadsafe(stop.set)

    stop_on_signals(request_stop, saying="closing connections")
    async with exchange:
        typer.echo(f"{exchange.url}   record it: fluxforge ingest --url {exchange.url}")
        await stop.wait()

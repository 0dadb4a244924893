"""``fluxforge sim``: serve the simulated exchange until told to stop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fluxforge.cli.stopping import stop_on_signals
from fluxforge.errors import ConfigError

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
    scenario: Annotated[
        Path | None,
        typer.Option(help="Misbehave as this YAML or JSON file says (docs/simulator.md)."),
    ] = None,
    control_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Take commands to misbehave on this loopback port; 0: any."
        ),
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Write every frame sent to this NDJSON file.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve a simulated Coinbase exchange until Ctrl-C."""
    # Imported here: every other command should start without websockets.
    from fluxforge.sim import (  # noqa: PLC0415
        SimulatedExchange,
        choose_products,
        load_scenario,
    )

    choice = int(products) if products.isdecimal() else products.split(",")
    try:
        exchange = SimulatedExchange(
            products=choose_products(choice),
            rate=rate,
            seed=seed,
            snapshot_levels=snapshot_levels,
            lose=lose,
            faults=() if scenario is None else load_scenario(scenario),
            control_port=control_port,
            journal=journal,
            host=host,
            port=port,
        )
    except ConfigError as error:
        typer.echo(f"fluxforge sim: {error}", err=True)
        raise typer.Exit(2) from error
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        asyncio.run(_serve(exchange))
    except OSError as error:
        target = f"{journal}" if error.filename is not None else _ports(host, port, control_port)
        typer.echo(
            f"fluxforge sim: cannot use {target}: {error.strerror or error}. "
            "Choose another one, or stop what holds it.",
            err=True,
        )
        raise typer.Exit(2) from error


def _ports(host: str, port: int, control_port: int | None) -> str:
    asked = [f"{host}:{port}"]
    if control_port is not None:
        asked.append(f"control port {control_port}")
    return " or ".join(asked)


async def _serve(exchange: SimulatedExchange) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def request_stop() -> None:
        loop.call_soon_threadsafe(stop.set)

    stop_on_signals(request_stop, saying="closing connections")
    async with exchange:
        typer.echo(f"{exchange.url}   record it: fluxforge ingest --url {exchange.url}")
        if exchange.control_port is not None:
            typer.echo(f"control port 127.0.0.1:{exchange.control_port}")
        await stop.wait()

"""Which commands there are."""

from __future__ import annotations

from typing import Annotated

import typer

from fluxforge.cli.config import config_app
from fluxforge.cli.demo import demo
from fluxforge.cli.etl import etl
from fluxforge.cli.gaps import gaps
from fluxforge.cli.ingest import ingest
from fluxforge.cli.run import run
from fluxforge.cli.segment import segment_app
from fluxforge.cli.sim import sim


def _typer(text: str) -> typer.Typer:
    return typer.Typer(
        help=text,
        add_completion=False,
        no_args_is_help=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )


app = _typer("Market-data capture that proves what it has.")
app.command()(demo)
app.command()(ingest)
app.command()(etl)
app.command()(run)
app.command()(gaps)
app.command()(sim)
app.add_typer(segment_app, name="segment")
app.add_typer(config_app, name="config")

ingest_app = _typer("Record a live feed into durable segments.")
ingest_app.command()(ingest)

etl_app = _typer("Turn ready segments into Parquet.")
etl_app.command()(etl)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Market-data capture that proves what it has."""
    if version:
        import fluxforge  # noqa: PLC0415 - only here

        typer.echo(f"fluxforge {fluxforge.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit

"""``fluxforge config``: write the commented file, check the configuration, show its origins."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fluxforge.cli.options import ConfigOption, DataDirOption, load
from fluxforge.config import LoadedConfig, default_yaml
from fluxforge.errors import ConfigError, FluxForgeError

config_app = typer.Typer(
    help="Write, check and show the configuration.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@config_app.command()
def init(
    *,
    path: Annotated[Path, typer.Option("--path", help="The file to write.")] = Path("config.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Write a commented configuration with every key and its default."""
    from fluxforge.storage import LocalStorage  # noqa: PLC0415  # `check` needs no storage

    path = path.absolute()
    directory = LocalStorage(path.parent)
    content = default_yaml().encode()
    with _told():
        if force:
            directory.write_bytes(content, path.name)
        elif not directory.create_new(content, path.name):
            raise ConfigError(f"{path} exists; --force replaces it, --path writes elsewhere")
    typer.echo(f"Wrote {path}. Check it with: fluxforge config check --config {path}")


@config_app.command()
def check(*, config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """Say whether the configuration is valid; exit code 2 and one line per problem if not."""
    with _told():
        loaded = load(config, data_dir)
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"The configuration is valid: {_file(loaded)}.")


@config_app.command()
def show(
    *,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Show every key, its value and where it came from. Secrets are hidden."""
    with _told():
        loaded = load(config, data_dir)
    if as_json:
        typer.echo(json.dumps(_as_json(loaded), indent=2, ensure_ascii=False))
    elif sys.stdout.isatty():
        _print_table(loaded)
    else:
        for row in loaded.rows():
            typer.echo(f"{row.key} = {json.dumps(row.value, ensure_ascii=False)}  # {row.source}")
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)


def _file(loaded: LoadedConfig) -> str:
    return str(loaded.path.absolute()) if loaded.path else "defaults, no file found"


def _as_json(loaded: LoadedConfig) -> dict[str, Any]:
    return {
        "file": str(loaded.path.absolute()) if loaded.path else None,
        "values": {row.key: {"value": row.value, "source": row.source} for row in loaded.rows()},
    }


def _print_table(loaded: LoadedConfig) -> None:
    table = Table(title=_file(loaded), title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("key", "value", "from"):
        table.add_column(column, overflow="fold")
    for row in loaded.rows():
        # As text, never as markup: a value may hold [brackets].
        style = "dim" if row.source == "default" else ""
        value = json.dumps(row.value, ensure_ascii=False)
        table.add_row(Text(row.key), Text(value), Text(row.source), style=style)
    Console().print(table)


@contextmanager
def _told() -> Iterator[None]:
    """Turn what we raise on purpose into its lines and its exit code."""
    try:
        yield
    except FluxForgeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_code) from None

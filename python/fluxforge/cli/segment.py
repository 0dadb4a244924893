"""``fluxforge segment``: one segment in hand. What is it, is it whole, what can be saved of it?

Exit codes: 0 whole (or growing under a living writer); 1 damaged, cut off or without its seal;
2 not there, not a segment, or of a newer format.
"""

from __future__ import annotations

import itertools
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer

from fluxforge.cli.segment_words import (
    EXIT_CODES,
    Copy,
    Inspection,
    describe,
    describe_copy,
    summarise,
)
from fluxforge.errors import SegmentError

segment_app = typer.Typer(
    help="Look at one segment, check it, save what can be saved of it.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

JsonOption = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]

_PIECE = 1 << 20
_ZSTD = ".zst"


@segment_app.command("inspect")
def inspect_(
    file: Annotated[Path, typer.Argument(help="A segment, or one of the archive (.zst).")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Say all there is to say: header, checkpoints, seal, verdict, where the damage is."""
    inspection = _inspect(file)
    if as_json:
        typer.echo(orjson.dumps(_named(file, inspection), option=orjson.OPT_INDENT_2).decode())
    elif sys.stdout.isatty():
        _print_table(file, inspection)
    else:
        for key, value in describe(file, inspection):
            typer.echo(f"{key}: {value}")
    raise typer.Exit(EXIT_CODES[inspection["verdict"]])


@segment_app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Segments; archived ones (.zst) too.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Say in one line per file whether it is whole; the worst decides the exit code."""
    worst = 0
    for file in files:
        try:
            inspection = _inspect(file)
        except SegmentError as refused:
            typer.echo(f"fluxforge: {refused}", err=True)
            worst = max(worst, refused.exit_code)
            continue
        worst = max(worst, EXIT_CODES[inspection["verdict"]])
        if as_json:
            typer.echo(orjson.dumps(_named(file, inspection)).decode())
        else:
            typer.echo(f"{file}: {summarise(inspection)}")
    raise typer.Exit(worst)


@segment_app.command()
def recover(
    file: Annotated[Path, typer.Argument(help="A segment whose writer is dead.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Directory of the copy. Default: recovered/ beside the file."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a sealed copy of what a dead writer's segment proves; the file itself stays.

    Torn bytes are kept in the copy, in an event; corrupt groups in files beside it. Doing it
    again changes nothing. Exit code 1: bytes that were proved once are lost.
    """
    if file.suffix == _ZSTD:
        raise _RefusedError(
            f"{file} is an archive: decompress it first (zstd -d), then recover that"
        )
    inspection = _inspect(file)
    verdict = inspection["verdict"]
    if verdict in {"plain", "newer", "growing"}:
        raise _RefusedError(f"{file}: {summarise(inspection)}. Nothing was written")
    if verdict == "whole":
        _tell_copy(file, {"outcome": "whole"}, as_json=as_json)
        raise typer.Exit
    from fluxforge._native import recover_segment  # noqa: PLC0415 - `--help` does without

    try:
        copy: Copy = orjson.loads(recover_segment(str(file), str(out or file.parent / "recovered")))
    except ValueError as error:
        raise _RefusedError(str(error)) from None
    _tell_copy(file, copy, as_json=as_json)
    if copy["outcome"] == "locked":
        raise typer.Exit(2)
    is_saved = copy["outcome"] == "sealed" and not copy["damaged"]
    raise typer.Exit(0 if is_saved and verdict != "damaged" else 1)


class _RefusedError(SegmentError):
    """What was named on the command line cannot be looked at."""

    exit_code = 2


class _ArchiveError(SegmentError):
    """An archive that cannot be decompressed: damaged, as far as anyone can tell."""


def _inspect(file: Path) -> Inspection:
    from fluxforge._native import (  # noqa: PLC0415 - `--help` does without
        SegmentInspector,
        segment_has_writer,
    )

    inspector = SegmentInspector()
    try:
        mode = file.stat().st_mode
        # A pipe would be waited for, a device might never end.
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise _RefusedError(
                f"{file} is no regular file: copy what it gives to a file, and name that"
            )
        is_archive = file.suffix == _ZSTD
        # Before reading: a writer that ends meanwhile has sealed what is read then.
        writer_lives = not is_archive and file.is_file() and segment_has_writer(str(file))
        for piece in _archived(file) if is_archive else _pieces(file):
            inspector.push(piece)
    except FileNotFoundError:
        raise _RefusedError(f"{file}: no file is there: check the path") from None
    except IsADirectoryError:
        raise _RefusedError(f"{file} is a directory: name one segment in it") from None
    except OSError as error:
        raise _RefusedError(f"{file} cannot be read: {error.strerror or error}") from None
    inspection: Inspection = orjson.loads(inspector.finish(writer_lives))
    return inspection


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            yield piece


def _archived(file: Path) -> Iterator[bytes]:
    from fluxforge.etl.readers.zstd import decompressed  # noqa: PLC0415 - only archives need it

    pieces = _pieces(file)
    # What the file system refuses is told apart from what the decompressor refuses.
    first = next(pieces, b"")
    try:
        yield from decompressed(itertools.chain([first], pieces))
    except OSError as error:
        raise _ArchiveError(
            f"{file}: damaged: the archive cannot be decompressed ({error}). What lies before "
            "the damage: zstd -dc FILE > segment.ndjson, then check that"
        ) from None


def _named(file: Path, inspection: Inspection) -> dict[str, object]:
    return {"file": str(file), "exit_code": EXIT_CODES[inspection["verdict"]], **inspection}


def _print_table(file: Path, inspection: Inspection) -> None:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    colour = ("green", "yellow", "red")[EXIT_CODES[inspection["verdict"]]]
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for key, value in describe(file, inspection):
        # As text, never as markup: names and connections may hold [brackets].
        table.add_row(key, Text(value, style=colour if key in {"verdict", "damage"} else ""))
    Console().print(table)


def _tell_copy(file: Path, copy: Copy, *, as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps({"file": str(file), **copy}).decode())
    else:
        for line in describe_copy(file, copy):
            typer.echo(line)

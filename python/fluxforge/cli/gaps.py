"""``fluxforge gaps``: what is missing in the lake?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from fluxforge.cli.gaps_words import as_object, gap_lines, total
from fluxforge.cli.moments import parse_moment, readably
from fluxforge.cli.options import (
    ConfigOption,
    DataDirOption,
    VerboseOption,
    configure,
    configure_logging,
)
from fluxforge.config import FluxForgeConfig
from fluxforge.ledger.coverage import CoverageRow
from fluxforge.storage.factory import (
    create_storage_backend,
    get_etl_input_path,
    get_ingestion_path,
)

if TYPE_CHECKING:
    from fluxforge.lake import Coverage


def gaps(
    *,
    since: Annotated[
        str | None,
        typer.Option("--since", help="From when: 2025-12-03T14:00 (UTC), or 2h ago as 2h."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Until when, in the same forms.")
    ] = None,
    products: Annotated[
        list[str] | None,
        typer.Option("--product", "-p", help="What touches this product; may be repeated."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A list of the coverage table's rows, for programs.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Say what the lake is known to lack: when, how long, of what, how much and why."""
    from fluxforge.lake import read_coverage  # noqa: PLC0415 - pyarrow, only here

    configure_logging(verbose=verbose)
    settings = configure(config, data_dir)
    now = datetime.now(UTC)
    start_ns = None if since is None else parse_moment(since, now=now)
    end_ns = None if until is None else parse_moment(until, now=now)
    coverage = read_coverage(settings, feed=settings.ingestion.source)
    holes = coverage.holes(products=products or None, start_ns=start_ns, end_ns=end_ns)
    waiting = _waiting(settings, coverage)
    if as_json:
        listed = [as_object(row) for row in holes]
        typer.echo(orjson.dumps(listed, option=orjson.OPT_INDENT_2).decode())
    else:
        for line in gap_lines(holes, coverage.carried):
            typer.echo(line)
        typer.echo(_verdict(coverage, holes, start_ns, end_ns))
    if waiting:
        ends = "" if coverage.end_ns is None else f"; coverage ends at {readably(coverage.end_ns)}"
        segments = "1 segment is" if waiting == 1 else f"{waiting} segments are"
        typer.echo(f"{segments} recorded and not in the lake yet{ends}", err=as_json)


def _verdict(
    coverage: Coverage, holes: list[CoverageRow], start_ns: int | None, end_ns: int | None
) -> str:
    """Sum up, for the time that was asked for as far as the lake has any of it."""
    if coverage.start_ns is None or coverage.end_ns is None:
        return "the lake is empty: nothing is known yet"
    start = coverage.start_ns if start_ns is None else max(start_ns, coverage.start_ns)
    end = coverage.end_ns if end_ns is None else min(end_ns, coverage.end_ns)
    if start > end:
        held = f"{readably(coverage.start_ns)} to {readably(coverage.end_ns)}"
        return f"nothing is known of that time: the lake has {held}"
    between = f"between {readably(start)} and {readably(end)}"
    return f"missing {between}: {total(holes)}" if holes else f"nothing is missing {between}"


def _waiting(settings: FluxForgeConfig, coverage: Coverage) -> int:
    """Count segments that are raw alone: in active/ or in ready/."""
    source = settings.ingestion.source
    written, ready = settings.ingestion_storage(), settings.etl_input_storage()
    places = [
        (written, get_ingestion_path(written, source)),
        (ready, get_etl_input_path(ready, source)),
    ]
    names = {
        key.rpartition("/")[2]
        for storage, path in places
        for key in create_storage_backend(storage).list_files(path, "*.ndjson")
    }
    return len(names - coverage.files)

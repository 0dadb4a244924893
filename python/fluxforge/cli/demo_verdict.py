"""Whether the demo's lake is what the exchange sent, and how that is told.

The journal is read with the standard library's json alone, so the comparison shares no code with
the way that the data took.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from fluxforge.cli.report import lag, size
from fluxforge.config import FluxForgeConfig
from fluxforge.ledger import LakeSummary, Ledger, summarise
from fluxforge.storage.factory import (
    create_storage_backend,
    get_commits_path,
    get_etl_input_path,
    get_ingestion_path,
)

if TYPE_CHECKING:
    from fluxforge.ingestion.orchestrators import IngestionStats


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the comparison found.

    Attributes:
        lake: Totals of the commits.
        sent_frames: Frames in the exchange's journal.
        differences: What differs, a line each.
        waiting: Segments that are not committed.
    """

    lake: LakeSummary
    sent_frames: int
    differences: tuple[str, ...]
    waiting: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether the lake equals the journal, the books balance and all is committed."""
        return not self.differences and not self.waiting and self.lake.balanced


def judge(settings: FluxForgeConfig, journal: Path) -> Verdict:
    """Compare the lake with the exchange's journal."""
    from fluxforge.lake import scan  # noqa: PLC0415 - polars, only here
    from fluxforge.sim import journal as exchange_journal  # noqa: PLC0415
    from fluxforge.sim.digest import DIGEST_COLUMNS, digest_rows  # noqa: PLC0415

    config = settings.storage
    storage = create_storage_backend(config)
    source = settings.ingestion.source
    lake = summarise(Ledger(storage, path=get_commits_path(config, source)).commits())
    sent = exchange_journal.summarise(journal)

    differences = []
    if lake.frames != sent.frames:
        differences.append(f"frames: {sent.frames:,} sent, {lake.frames:,} in the lake's books")
    for table, columns in DIGEST_COLUMNS.items():
        rows = scan(settings, table).select(columns).collect()
        expected = sent.rows_by_table.get(table, 0)
        if rows.height != expected:
            differences.append(f"{table}: {expected:,} rows sent, {rows.height:,} in the lake")
        elif digest_rows(rows.iter_rows()) != sent.digests_by_table.get(table, 0):
            differences.append(f"{table}: as many rows as were sent, but other values")
    waiting = [
        key
        for path in (get_ingestion_path(config, source), get_etl_input_path(config, source))
        for key in storage.list_files(path, "*.ndjson")
    ]
    return Verdict(
        lake=lake,
        sent_frames=sent.frames,
        differences=tuple(differences),
        waiting=tuple(waiting),
    )


def print_verdict(verdict: Verdict, stats: IngestionStats, *, data_dir: Path) -> None:
    """Tell a person what happened, where it lies and what to try next."""
    console = Console(highlight=False, soft_wrap=True)
    lake = verdict.lake
    ignored = ", ".join(f"{count:,} {name}" for name, count in sorted(lake.ignored.items()))
    facts = {
        "Frames received": f"{stats.frames_received:,} (the exchange sent {verdict.sent_frames:,})",
        "Durable lag": f"{lag(stats)} (from the socket to the disk's fdatasync)",
        "Segments": f"{stats.writer.segments_sealed} sealed, {lake.segments} committed",
        "Rows": ", ".join(f"{name} {count:,}" for name, count in sorted(lake.rows.items())),
        "Gaps": f"{lake.gaps} ({lake.missing} frames missing)",
        "Rejected": f"{lake.rejected} frames",
        "Balance": f"{lake.frames:,} frames = {lake.parsed:,} into rows + {ignored} ignored by "
        f"name + {lake.rejected} rejected",
        "Parquet": f"{lake.parts} files, {size(lake.parquet_bytes)} "
        f"(from {size(lake.raw_bytes)} raw)",
        "Data": f"{data_dir}{os.sep}",
    }
    for name, fact in facts.items():
        # As text, never as markup: a path may hold [brackets].
        console.print(Text.assemble((f"{name:<16} ", "bold"), fact))
    if verdict.good:
        console.print("[green]The lake equals what the exchange sent, row for row.[/green]")
    else:
        console.print("[red]The lake is NOT what the exchange sent:[/red]")
        for difference in verdict.differences:
            console.print(f"  {difference}")
        for key in verdict.waiting:
            console.print(f"  not committed: {key}")
        if not lake.balanced:
            console.print("  the books do not balance")
    console.print("\nTry next:")
    # Not rich's print: it would wrap the line, and it is there to be copied.
    print(f"  {_query(data_dir)}")  # noqa: T201


def _query(data_dir: Path) -> str:
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    code = (
        f"import fluxforge; print(fluxforge.scan({json.dumps(str(data_dir))}, "
        '"market_trades").group_by("product_id").len().sort("len", descending=True).collect())'
    )
    return shlex.join([str(python), "-c", code])

"""What the demo shows while it runs: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from fluxforge.cli.report import describe

if TYPE_CHECKING:
    from fluxforge.ingestion.orchestrators import IngestionStats

_LIVE_SECONDS = 0.2
_PLAIN_SECONDS = 2.0


class Progress:
    """Follows a capture.

    Args:
        seconds: How long it will run.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._console = Console()
        self._live = self._console.is_terminal
        self._bar = Bar(
            BarColumn(20),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=self._console,
            transient=True,
            disable=not self._live,
        )

    def __enter__(self) -> Self:
        self._console.print(
            f"Recording the simulated exchange for {self._seconds:g} s, "
            "with the ETL running beside it …"
        )
        self._bar.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    async def follow(self, stats: Callable[[], IngestionStats | None]) -> None:
        """Show the counters until cancelled."""
        task = self._bar.add_task("connecting", total=self._seconds)
        started = time.monotonic()
        while True:
            await asyncio.sleep(_LIVE_SECONDS if self._live else _PLAIN_SECONDS)
            line = describe(stats())
            if self._live:
                elapsed = time.monotonic() - started
                self._bar.update(task, completed=elapsed, description=line)
            else:
                self._console.print(line, soft_wrap=True)

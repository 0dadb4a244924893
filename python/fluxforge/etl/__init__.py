"""Ready segments to committed Parquet: claim → parse → write → commit → tidy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fluxforge.etl.job import ETLJob
    from fluxforge.etl.report import JobReport
    from fluxforge.etl.watcher import ETLWatcher

__all__ = ["ETLJob", "ETLWatcher", "JobReport"]


def __getattr__(name: str) -> Any:
    # Reading a segment needs the readers alone, not pyarrow's writer and the storages.
    if name in {"ETLJob", "JobReport"}:
        from fluxforge.etl import job  # noqa: PLC0415

        return getattr(job, name)
    if name == "ETLWatcher":
        from fluxforge.etl.watcher import ETLWatcher  # noqa: PLC0415

        return ETLWatcher
    raise AttributeError(f"module 'fluxforge.etl' has no attribute {name!r}")

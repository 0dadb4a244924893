"""Websocket frames to sealed segments: collect → append → seal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fluxforge.ingestion.orchestrators import IngestionPipeline
    from fluxforge.ingestion.writers import LogWriter

__all__ = ["IngestionPipeline", "LogWriter"]


def __getattr__(name: str) -> Any:
    # Writing segments needs neither websockets nor the configuration.
    if name == "IngestionPipeline":
        from fluxforge.ingestion.orchestrators import IngestionPipeline  # noqa: PLC0415

        return IngestionPipeline
    if name == "LogWriter":
        from fluxforge.ingestion.writers import LogWriter  # noqa: PLC0415

        return LogWriter
    raise AttributeError(f"module 'fluxforge.ingestion' has no attribute {name!r}")

"""What records a feed."""

from __future__ import annotations

from fluxforge.ingestion.orchestrators.ingestion_pipeline import (
    IngestionPipeline,
    IngestionStats,
)

__all__ = ["IngestionPipeline", "IngestionStats"]

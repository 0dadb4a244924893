"""What records a feed."""

from __future__ import annotations

from fluxforge.ingestion.orchestrators.ingestion_pipeline import (
    IngestionPipeline,
    IngestionStats,
)
from fluxforge.ingestion.orchestrators.planning import plan_ingestion

__all__ = ["IngestionPipeline", "IngestionStats", "plan_ingestion"]

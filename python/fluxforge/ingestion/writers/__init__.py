"""What makes frames durable."""

from __future__ import annotations

from fluxforge.ingestion.writers.log_writer import LogWriter

__all__ = ["LogWriter"]

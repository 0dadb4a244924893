"""Parquet parts, and what became no row."""

from __future__ import annotations

from fluxforge.etl.writers.parquet_writer import ParquetWriter
from fluxforge.etl.writers.rejects_writer import RejectsWriter

__all__ = ["ParquetWriter", "RejectsWriter"]

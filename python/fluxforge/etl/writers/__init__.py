"""Parquet parts."""

from __future__ import annotations

from fluxforge.etl.writers.parquet_writer import ParquetWriter

__all__ = ["ParquetWriter"]

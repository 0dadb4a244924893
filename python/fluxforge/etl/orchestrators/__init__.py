"""What turns one segment into parts."""

from __future__ import annotations

from fluxforge.etl.orchestrators.coinbase_segment_pipeline import CoinbaseSegmentPipeline

__all__ = ["CoinbaseSegmentPipeline"]

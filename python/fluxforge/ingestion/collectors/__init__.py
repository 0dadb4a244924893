"""What receives frames."""

from __future__ import annotations

from fluxforge.ingestion.collectors.collector import Collector, ConnectionSettings
from fluxforge.ingestion.collectors.connection_plan import (
    ConnectionPlan,
    Subscription,
    plan_connections,
    take_shard,
)
from fluxforge.ingestion.collectors.expectation import ExpectedLoad, expect
from fluxforge.ingestion.collectors.liveness import Timeouts
from fluxforge.ingestion.collectors.pacing import Backoff, Pace
from fluxforge.ingestion.collectors.stats import CollectorStats

__all__ = [
    "Backoff",
    "Collector",
    "CollectorStats",
    "ConnectionPlan",
    "ConnectionSettings",
    "ExpectedLoad",
    "Pace",
    "Subscription",
    "Timeouts",
    "expect",
    "plan_connections",
    "take_shard",
]

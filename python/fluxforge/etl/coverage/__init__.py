"""What a segment proves about what it holds and what it lacks: the ``coverage`` table.

deliveries  rows → when each product was delivered, and its books' snapshots
events      our own lines → what happened to the connections
rows        these and the sequence numbers → rows
partitions  rows → what the Parquet writer takes
"""

from __future__ import annotations

from fluxforge.etl.coverage.deliveries import Deliveries, Delivery
from fluxforge.etl.coverage.events import Event, read_event
from fluxforge.etl.coverage.partitions import coverage_partitions
from fluxforge.etl.coverage.rows import Connection, coverage_rows

__all__ = [
    "Connection",
    "Deliveries",
    "Delivery",
    "Event",
    "coverage_partitions",
    "coverage_rows",
    "read_event",
]

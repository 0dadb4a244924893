"""Commit records: the one truth about the lake, shared by etl and lake."""

from __future__ import annotations

from fluxforge.ledger.commit import (
    Balance,
    Commit,
    ConnectionSpan,
    Part,
    Raw,
    SequenceGap,
)
from fluxforge.ledger.ledger import Ledger
from fluxforge.ledger.summary import LakeSummary, summarise
from fluxforge.ledger.wire import describe_wire

__all__ = [
    "Balance",
    "Commit",
    "ConnectionSpan",
    "LakeSummary",
    "Ledger",
    "Part",
    "Raw",
    "SequenceGap",
    "describe_wire",
    "summarise",
]

"""Commit records for tests that need one."""

from __future__ import annotations

from fluxforge.ledger import Balance, Commit, Part, Raw


def make_part(**changes) -> Part:
    """One part of level2, with what matters to the test changed."""
    fields = {
        "table": "level2",
        "product_id": "BTC-USD",
        "date": "2025-12-03",
        "name": "part_20251203T14_00000000.parquet",
        "rows": 1,
        "bytes": 100,
        "xxh3": "0" * 16,
        "min_capture_ns": 1_764_770_400_000_000_000,
        "max_capture_ns": 1_764_770_400_000_000_000,
    }
    return Part(**fields | changes)


def make_commit(*, frames=0, parsed=0, ignored=None, **changes) -> Commit:
    """A balanced commit, with what matters to the test changed."""
    fields = {
        "segment": "segment",
        "uid": "uid",
        "source": "coinbase",
        "worker": "test",
        "committed_at": "2025-12-03T15:00:00.000000Z",
        "recipe": {"format": 1},
        "raw": Raw(
            file="segment.ndjson", bytes=0, xxh3="0" * 16, header=True, sealed=True, verified=True
        ),
        "parts": (),
        "balance": Balance(
            frames=frames,
            parsed=parsed,
            ignored=ignored or {},
            rejected=0,
            events=0,
            rows={},
            inexact={},
            unknown_fields={},
        ),
        "connections": (),
        "rejects": (),
    }
    return Commit(**fields | changes)

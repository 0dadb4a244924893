"""Counters as a person reads them: how far uploads are behind."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fluxforge.cli.report import describe
from fluxforge.ingestion.shipping import ShippingStats


def stats(shipping: ShippingStats | None = None, *, missing: int = 0):
    writer = SimpleNamespace(
        bytes=2048,
        frames=0,
        segments_sealed=3,
        segments_recovered=0,
        dropped=0,
        waiting_for_space=False,
        damage=None,
        publish_error=None,
    )
    return SimpleNamespace(
        writer=writer,
        collectors=[None],
        connected=1,
        frames_received=7,
        missing=missing,
        shipping=shipping,
    )


def test_the_report_says_how_many_frames_never_came():
    assert ", 1,234 FRAMES NEVER CAME (recorded as gaps), " in describe(stats(missing=1234))
    assert "NEVER" not in describe(stats())


@pytest.mark.parametrize(
    ("shipping", "said"),
    [
        (None, ""),
        (ShippingStats(shipped=3), ", 3 uploaded"),
        (
            ShippingStats(shipped=1, waiting=2, waiting_bytes=3 << 20, lag_seconds=90.4),
            ", 1 uploaded, 3.0 MiB not uploaded yet for up to 90 s (2 sealed segments)",
        ),
        (
            ShippingStats(waiting_bytes=2048, lag_seconds=8.9, taken_over=1, adopted=2),
            (
                ", 0 uploaded, 2.0 KiB not uploaded yet for up to 9 s, 1 closed by other machines, "
                "2 finished for other writers"
            ),
        ),
        (
            ShippingStats(waiting=1, waiting_bytes=1 << 30, lag_seconds=7200, holding=True),
            (
                ", 0 uploaded, 1.0 GiB not uploaded yet for up to 7,200 s (1 sealed segments), "
                "THE SPOOL IS FULL"
            ),
        ),
    ],
)
def test_the_report_says_how_far_uploads_are_behind(shipping, said):
    assert describe(stats(shipping)) == (
        f"1 of 1 connections, 7 frames (2.0 KiB durable), 3 segments sealed{said}"
    )

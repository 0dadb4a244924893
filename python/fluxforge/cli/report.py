"""Counters as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fluxforge.ingestion.orchestrators import IngestionStats
    from fluxforge.ingestion.shipping import ShippingStats

_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def size(count: int) -> str:
    """Say a number of bytes: ``12.3 MiB``."""
    for unit, scale in _UNITS:
        if count >= scale:
            return f"{count / scale:,.1f} {unit}"
    return f"{count} bytes"


def milliseconds(nanoseconds: int) -> str:
    """Say a duration: ``0.43 ms``."""
    return f"{nanoseconds / 1e6:,.2f} ms"


def lag(stats: IngestionStats) -> str:
    """Say how long frames took from the socket to the disk."""
    writer = stats.writer
    return f"p50 {milliseconds(writer.lag_p50_ns)}, p99 {milliseconds(writer.lag_p99_ns)}"


def describe(stats: IngestionStats | None) -> str:
    """Say in one line how a capture is doing."""
    if stats is None:
        return "not recording yet"
    writer = stats.writer
    line = (
        f"{stats.connected} of {len(stats.collectors)} connections, "
        f"{stats.frames_received:,} frames ({size(writer.bytes)} durable)"
    )
    if writer.frames:
        line += f", durable lag {lag(stats)}"
    if stats.missing:
        line += f", {stats.missing:,} FRAMES NEVER CAME (recorded as gaps)"
    line += f", {writer.segments_sealed} segments sealed"
    if writer.segments_recovered:
        line += f", {writer.segments_recovered} recovered from an earlier run"
    if writer.dropped:
        line += f", {writer.dropped:,} frames DROPPED (recorded as events)"
    if writer.waiting_for_space:
        line += ", WAITING FOR DISK SPACE"
    if stats.shipping is not None:
        line += _uploads(stats.shipping)
    if writer.damage:
        line += f", DURABLE FRAMES LOST BY THE DISK: {writer.damage}"
    if writer.publish_error:
        line += f", SEALED SEGMENTS STAY IN active/: {writer.publish_error}"
    return line


def _uploads(shipping: ShippingStats) -> str:
    line = f", {shipping.shipped} uploaded"
    if shipping.waiting_bytes:
        line += (
            f", {size(shipping.waiting_bytes)} not uploaded yet "
            f"for up to {shipping.lag_seconds:,.0f} s"
        )
        if shipping.waiting:
            line += f" ({shipping.waiting} sealed segments)"
    if shipping.taken_over:
        line += f", {shipping.taken_over} closed by other machines"
    if shipping.adopted:
        line += f", {shipping.adopted} finished for other writers"
    return line + (", THE SPOOL IS FULL" if shipping.holding else "")

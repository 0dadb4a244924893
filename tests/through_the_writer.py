"""Frames through the segment writer that ships, and what the parser makes of them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fluxforge._native import ParsedSegment, SegmentWriter
from fluxforge.etl.readers import parse_segment

CAPTURE_NS = 1_775_572_200_500_000_000


def written(frames: list[bytes], *, events: int = 0) -> tuple[ParsedSegment, bytes]:
    """Return the parsed segment and its bytes."""
    with tempfile.TemporaryDirectory() as root:
        path = write(Path(root), frames, events=events)
        return parse_segment(path), path.read_bytes()


def write(root: Path, frames: list[bytes], *, events: int = 0) -> Path:
    """Write and seal one segment below an empty directory; return where it lies."""
    places = [root / name for name in ("active", "ready", "quarantine")]
    for place in places:
        place.mkdir()
    writer = SegmentWriter(
        *map(str, places),
        source="coinbase",
        segment_max_bytes=1 << 30,
        segment_max_seconds=3600,
        queue_max_bytes=1 << 26,
        durability="os",
    )
    for number, frame in enumerate(frames):
        writer.append(frame, CAPTURE_NS + number, "c1")
    for _ in range(events):
        writer.append_event(b'{"kind":"connected"}', CAPTURE_NS, "c1")
    writer.close()
    (path,) = places[1].iterdir()
    return path

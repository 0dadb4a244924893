"""Reads raw segments with the standard library alone, as an independent witness."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path


def durable_records(segment: Path) -> Iterator[bytes]:
    """The lines of the frames that a segment's last checkpoint vouches for.

    A frame was reported durable only once the checkpoint behind it was on disk, so after a kill
    these are the frames that may have been acknowledged.
    """
    pending: list[bytes] = []
    for line in segment.read_bytes().split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:
            return  # the torn end
        if "checkpoint" in record:
            yield from pending
            pending = []
        elif {"data", "raw", "raw_b64"} & set(record):
            pending.append(line)


def durable_frames(segment: Path) -> Iterator[str]:
    """The text of the same frames, for segments that hold JSON frames alone."""
    for line in durable_records(segment):
        text = line.decode()
        yield text[text.index('"data":') + len('"data":') : -1]

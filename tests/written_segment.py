"""A sealed segment read by its specification and the standard library: nothing of fluxforge."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crc32c_table import crc32c


@dataclass
class WrittenSegment:
    """What a segment says, once all its proofs held."""

    name: str
    header: dict[str, Any]
    seal: dict[str, Any]
    frames: list[bytes] = field(default_factory=list)
    conns: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)


def read(path: Path, *, verify_sums: bool = True) -> WrittenSegment:
    """Read a segment; an AssertionError names what does not hold."""
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b"", "the last line ends"
    documents = [json.loads(line) for line in lines]
    header, seal = documents[0]["segment"], documents[-1]["seal"]
    segment = WrittenSegment(path.name, header, seal)
    assert header["format"] == 1
    offset = 0
    group, expected, previous, mono_ns = b"", 0, "00000000", 0
    for line, document in zip(lines, documents, strict=True):
        text = line + b"\n"
        if "checkpoint" in document:
            point = document["checkpoint"]
            assert (point["n"], point["prev"], point["bytes"]) == (expected, previous, offset)
            assert point["frames"] == len(segment.frames)
            assert point["mono_ns"] >= mono_ns, "a monotonic clock"
            mono_ns = point["mono_ns"]
            covered = header["uid"].encode() + group + line[: line.rindex(b',"crc32c":')]
            if verify_sums:
                assert f"{crc32c(covered):08x}" == point["crc32c"]
            group, expected, previous = b"", expected + 1, point["crc32c"]
        else:
            group += text
            _take(segment, line, document)
        offset += len(text)
    assert group == lines[-1] + b"\n", "nothing but the seal follows the last checkpoint"
    assert seal["frames"] == len(segment.frames)
    assert seal["events"] == len(segment.events)
    assert seal["bytes"] == offset - len(lines[-1]) - 1
    return segment


def read_all(ready: Path, *, verify_sums: bool = True) -> list[WrittenSegment]:
    """Every segment of a directory, in the order of their names."""
    return [read(path, verify_sums=verify_sums) for path in sorted(ready.glob("segment_*.ndjson"))]


def _take(segment: WrittenSegment, line: bytes, document: dict[str, Any]) -> None:
    if "event" in document:
        segment.events.append({"conn": document["conn"], **document["event"]})
    elif "capture_ts" in document:
        segment.conns.append(document["conn"])
        if "data" in document:
            segment.frames.append(line[line.index(b',"data":') + 8 : -1])
        elif "raw" in document:
            segment.frames.append(document["raw"].encode())
        else:
            segment.frames.append(base64.b64decode(document["raw_b64"], validate=True))

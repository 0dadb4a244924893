"""Frames in envelopes, and whole segments with checkpoints and seal, written independently."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import crc32c_table
from fluxforge._native import Xxh3

GOLDEN = Path(__file__).parent / "data" / "coinbase"
UID = "00112233445566778899aabbccddeeff"
CAPTURE = "2026-04-07T14:30:00.5Z"


def envelope(frame: bytes, *, capture_ts: str = CAPTURE, conn: str = "c1") -> bytes:
    return b'{"capture_ts":"%s","conn":"%s","data":%s}\n' % (
        capture_ts.encode(),
        conn.encode(),
        frame,
    )


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def level2(*updates: dict[str, Any], product_id: Any = "BTC-USD", sequence: Any = 1) -> bytes:
    event = {"type": "update", "product_id": product_id, "updates": list(updates)}
    return compact(
        {
            "channel": "l2_data",
            "timestamp": "2026-04-07T14:30:00Z",
            "sequence_num": sequence,
            "events": [event],
        }
    )


def update(**changed: Any) -> dict[str, Any]:
    fields = {
        "side": "bid",
        "event_time": "2026-04-07T14:30:00Z",
        "price_level": "1.5",
        "new_quantity": "2",
    }
    return {k: v for k, v in {**fields, **changed}.items() if v is not ...}


class SegmentBytes:
    """Builds a segment as the format describes it."""

    def __init__(self, *, number: int = 1) -> None:
        header = {
            "format": number,
            "name": "segment_20260407T14_00001",
            "uid": UID,
            "source": "coinbase",
            "writer": None,
            "created": "2026-04-07T14:30:00Z",
            "continues": None,
        }
        self.data = compact({"segment": header}) + b"\n"
        self._group = 0
        self._n = 0
        self._prev = "00000000"
        self._frames = 0
        self._events = 0
        self.checkpoint()

    def frames(self, *lines: bytes) -> None:
        self.data += b"".join(lines)
        self._frames += len(lines)

    def event(self, line: bytes) -> None:
        self.data += line
        self._events += 1

    def checkpoint(self) -> None:
        fields = {
            "n": self._n,
            "frames": self._frames,
            "bytes": len(self.data),
            "mono_ns": 7,
            "prev": self._prev,
        }
        line = compact({"checkpoint": fields})[:-2]
        covered = UID.encode() + self.data[self._group :] + line
        self._prev = f"{crc32c_table.crc32c(covered):08x}"
        self.data += line + b',"crc32c":"%s"}}\n' % self._prev.encode()
        self._group = len(self.data)
        self._n += 1

    def seal(self) -> bytes:
        digest = Xxh3()
        digest.update(self.data)
        fields = {
            "frames": self._frames,
            "events": self._events,
            "bytes": len(self.data),
            "xxh3": digest.hexdigest(),
            "first_ts": CAPTURE,
            "last_ts": CAPTURE,
            "durability": "fsync",
        }
        return self.data + compact({"seal": fields}) + b"\n"

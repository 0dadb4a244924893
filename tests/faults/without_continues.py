"""Segments as a writer would leave them that does not say what they continue."""

from __future__ import annotations

import json
from pathlib import Path

from crc32c_table import crc32c


def leave_out_continues(active: Path) -> int:
    """Write each segment in active/ that continues another anew, without saying so."""
    continuing = [path for path in active.glob("segment_*") if _header(path)["continues"]]
    for path in continuing:
        path.write_bytes(_rewritten(path.read_bytes()))
    return len(continuing)


def _header(path: Path) -> dict[str, object]:
    with path.open("rb") as lines:
        return json.loads(lines.readline())["segment"]


def _rewritten(segment: bytes) -> bytes:
    """The same records under the other header, with every checkpoint's sums done again."""
    out, group, previous = b"", b"", "00000000"
    uid = b""
    for line in segment.splitlines(keepends=True):
        if line.startswith(b'{"segment":'):
            document = json.loads(line)
            uid = document["segment"]["uid"].encode()
            document["segment"]["continues"] = None
            group += json.dumps(document, separators=(",", ":")).encode() + b"\n"
        elif line.startswith(b'{"checkpoint":') and line.endswith(b"\n"):
            fields = json.loads(line)["checkpoint"]
            fields |= {"bytes": len(out) + len(group), "prev": previous}
            del fields["crc32c"]
            text = json.dumps({"checkpoint": fields}, separators=(",", ":")).encode()[:-2]
            previous = f"{crc32c(uid + group + text):08x}"
            out += group + text + b',"crc32c":"%s"}}\n' % previous.encode()
            group = b""
        else:
            group += line
    return out + group

"""Everything that a parse gives, as bytes: equal only if nothing differs, not even in layout."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pyarrow as pa

from fluxforge._native import ParsedSegment

COUNTS = ("frames", "parsed", "ignored", "rejected", "events", "rows", "inexact")
FIELDS = ("unknown_fields", "missing_fields", "null_fields", "retyped_fields")


def arrow_bytes(native: Any) -> bytes:
    """The stream of a table's batches, dictionaries and validity included."""
    table = pa.table(native)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def fingerprint(parsed: ParsedSegment) -> str:
    """One hash over tables, partitions, rejects, books, connections and events."""
    digest = hashlib.sha256()
    for name, native in parsed.tables.items():
        digest.update(name.encode() + arrow_bytes(native))
    for partition in parsed.partitions:
        place = (partition.table, partition.product_id, partition.date, partition.inexact)
        digest.update(repr(place).encode() + arrow_bytes(partition))
    digest.update(parsed.rejects_ndjson() + arrow_bytes(parsed.rejects))
    digest.update(json.dumps(books(parsed)).encode() + b"".join(parsed.events))
    return digest.hexdigest()


def books(parsed: ParsedSegment) -> dict[str, Any]:
    """The balance and what the sequence numbers prove, by name."""
    counts = {name: getattr(parsed.balance, name) for name in (*COUNTS, *FIELDS)}
    connections = [
        {
            "conn": each.conn,
            "frames": each.frames,
            "span": [each.first_sequence, each.last_sequence],
            "capture": [each.first_capture_ns, each.last_capture_ns],
            "missing": each.missing,
            "gaps": [[gap.expected, gap.seen, gap.record, gap.capture_ns] for gap in each.gaps],
        }
        for each in parsed.connections
    ]
    raw = [parsed.raw_bytes, parsed.raw_xxh3, parsed.sealed, parsed.verified]
    return counts | {"connections": connections, "raw": raw}

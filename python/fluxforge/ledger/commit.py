"""A commit record: one segment's entry in the one truth about the lake.

A part counts only if a commit lists it. A commit is one JSON object, created once and never
changed or deleted; it says what went in (raw bytes and hash), how (the recipe), what came out
(parts with rows and hashes), and that the books balance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import orjson

from fluxforge.errors import LedgerError, LedgerFormatError
from fluxforge.storage.hive import partition_path

COMMIT_FORMAT = 1

FieldCounts = dict[str, dict[str, int]]
"""Channel, then the field's path, then how often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """The segment as it was read.

    Attributes:
        file: Name of the segment's file when it was read.
        bytes: Size of that file.
        xxh3: XXH3-64 of the whole file, 16 hex digits.
        header: Whether it begins with a header; a plain file has nothing to be verified by.
        sealed: Whether its last line is a seal that matches.
        verified: Whether every checkpoint and the seal matched the bytes.
    """

    file: str
    bytes: int
    xxh3: str
    header: bool
    sealed: bool
    verified: bool

    @property
    def damaged(self) -> bool:
        """Whether the bytes are not what the writer made durable."""
        return self.header and not self.verified


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One Parquet file of one (table, product_id, date).

    Attributes:
        table: Table name, as ``level2``.
        product_id: The partition's product, None for tables partitioned by date only.
        date: Capture date in UTC, ``YYYY-MM-DD``.
        name: File name, ``part_{hour}_{content hash}.parquet``.
        rows: Number of rows.
        bytes: Size of the file.
        xxh3: XXH3-64 of the file, 16 hex digits.
        min_capture_ns: Earliest capture_ts, nanoseconds since the epoch.
        max_capture_ns: Latest capture_ts, nanoseconds since the epoch.
    """

    table: str
    product_id: str | None
    date: str
    name: str
    rows: int
    bytes: int
    xxh3: str
    min_capture_ns: int
    max_capture_ns: int

    def key(self, output_path: str) -> str:
        """Return the part's key, given the source's directory in the lake."""
        directory = partition_path(f"{output_path}/{self.table}", self.product_id, self.date)
        return f"{directory}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Where every frame of the segment went: frames = parsed + ignored + rejected.

    Attributes:
        frames: Frames in the segment.
        parsed: Frames that became rows (of however many rows, none included).
        ignored: Frames by the name of the channel that is ignored on purpose.
        rejected: Frames kept in ``_rejects/`` with their reason.
        events: Events of our own (connected, gap, …); not frames.
        rows: Rows by table.
        inexact: Values by table that float64 cannot hold exactly.
        unknown_fields: Count by channel and field of what the feed's description does not name.
        missing_fields: The same of what it names and an object lacked.
        null_fields: The same of what it names and was null.
        retyped_fields: The same of numbers where it says string, or the other way round.
    """

    frames: int
    parsed: int
    ignored: dict[str, int]
    rejected: int
    events: int
    rows: dict[str, int]
    inexact: dict[str, int]
    unknown_fields: FieldCounts
    missing_fields: FieldCounts = field(default_factory=dict)
    null_fields: FieldCounts = field(default_factory=dict)
    retyped_fields: FieldCounts = field(default_factory=dict)

    def holds(self) -> bool:
        """Say whether every frame is accounted for."""
        return self.frames == self.parsed + sum(self.ignored.values()) + self.rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceGap:
    """Sequence numbers that did not arrive on a connection.

    Attributes:
        expected: The number that should have come.
        seen: The number that came instead.
        record: The frame that carried it.
        capture_ns: When it was captured, nanoseconds since the epoch.
    """

    expected: int
    seen: int
    record: int
    capture_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSpan:
    """What one connection's sequence numbers prove about this segment.

    Attributes:
        conn: The connection's name, unique over all runs.
        frames: Frames of this connection in the segment.
        first_sequence: Sequence number of its first numbered frame.
        last_sequence: Sequence number of its last frame that was no repeat.
        first_capture_ns: Capture time of its first frame.
        last_capture_ns: Capture time of its last frame.
        missing: Numbers between first and last that never came.
        gaps: Where they are missing.
    """

    conn: str
    frames: int
    first_sequence: int | None
    last_sequence: int | None
    first_capture_ns: int
    last_capture_ns: int
    missing: int
    gaps: tuple[SequenceGap, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Everything that is known about one segment in the lake.

    Attributes:
        segment: The segment's label; made from its uid where a file has no header to give one.
        uid: The segment's identity: its header's, else the hash of its content.
        source: The feed, as ``coinbase``.
        worker: Who committed it.
        committed_at: When, RFC 3339 in UTC; a note for people, nothing is decided by it.
        recipe: What determines the parts' bytes beside the raw bytes.
        raw: What was read.
        parts: What was written.
        balance: Where every frame went.
        connections: What the sequence numbers prove.
        rejects: Keys of the rejected frames below the source's directory, in the segment's order;
            mostly one or none. A name carries the hash of its bytes, so no other worker's rejects
            can take its place.
    """

    segment: str
    uid: str
    source: str
    worker: str
    committed_at: str
    recipe: dict[str, Any]
    raw: Raw
    parts: tuple[Part, ...]
    balance: Balance
    connections: tuple[ConnectionSpan, ...]
    rejects: tuple[str, ...]

    def to_json(self) -> bytes:
        """Serialise to the record's bytes."""
        # orjson reads dataclasses by itself: asdict() would copy some thousand parts first.
        record = {"format": COMMIT_FORMAT, **{f.name: getattr(self, f.name) for f in fields(self)}}
        return orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, data: bytes, *, key: str) -> Commit:
        """Read a record's bytes.

        Args:
            data: The record.
            key: Where it lies, for the message.

        Raises:
            LedgerFormatError: A newer FluxForge wrote it.
            LedgerError: It is no commit record.
        """
        try:
            record: dict[str, Any] = orjson.loads(data)
            written = record.pop("format")
            if written > COMMIT_FORMAT:
                raise LedgerFormatError(
                    f"{key} is a commit of format {written}; this FluxForge knows up to "
                    f"{COMMIT_FORMAT}. Upgrade FluxForge; nothing was changed."
                )
            return cls(
                **record
                | {
                    "raw": Raw(**record["raw"]),
                    "parts": tuple(Part(**part) for part in record["parts"]),
                    "balance": Balance(**record["balance"]),
                    "connections": tuple(_connection(c) for c in record["connections"]),
                    "rejects": _keys(record["rejects"]),
                }
            )
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise LedgerError(
                f"{key} is not a commit record ({error}). Move it away and keep it; the lake can "
                "be rebuilt from raw."
            ) from error


def _keys(rejects: list[str] | str | None) -> tuple[str, ...]:
    """Read a list of keys, which was one key or none in early commits."""
    if rejects is None or isinstance(rejects, str):
        return (rejects,) if rejects else ()
    return tuple(rejects)


def _connection(record: Mapping[str, Any]) -> ConnectionSpan:
    gaps = tuple(SequenceGap(**gap) for gap in record["gaps"])
    return ConnectionSpan(**{**record, "gaps": gaps})

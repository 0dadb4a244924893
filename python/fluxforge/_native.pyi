"""Types of the Rust extension. The border is crossed per frame only by ``append``."""

from typing import Literal, final

__version__: str

# -- writing: rust/fluxforge-py/src/writer.rs ------------------------------------------------

@final
class SegmentWriter:
    """Appends frames to segments on a thread of its own; group commit, rotation, recovery.

    Positions count records accepted by this writer from 1 on, over all its segments. A record is
    durable when ``durable_position`` has reached the position that ``append`` returned.
    """

    def __new__(
        cls,
        active_dir: str,
        ready_dir: str,
        quarantine_dir: str,
        *,
        source: str,
        writer_id: str | None = None,
        segment_max_bytes: int,
        segment_max_seconds: float,
        queue_max_bytes: int,
        durability: Literal["fsync", "os"] = "fsync",
        on_full: Literal["block", "drop"] = "block",
        min_free_bytes: int = 0,
    ) -> SegmentWriter: ...
    def append(self, frame: bytes, capture_ns: int, conn: str) -> int:
        """Copy the frame into the queue. Returns its position, or raises QueueFullError.

        With ``on_full="drop"`` a full queue returns 0: the frame is counted and recorded as lost.
        """
    def append_event(self, event: bytes, capture_ns: int, conn: str | None) -> int:
        """Append an event of ours: one JSON object with a ``kind``. Never refused for space."""
    @property
    def durable_position(self) -> int: ...
    @property
    def accepted_position(self) -> int: ...
    @property
    def queue_bytes(self) -> int: ...
    @property
    def wake_fd(self) -> int:
        """Readable after each group became durable, room was made, or the writer failed."""
    def acknowledge_wake(self) -> None:
        """Drain ``wake_fd``."""
    @property
    def error(self) -> str | None:
        """Why the writer stopped for good, if it did."""
    def stats(self) -> WriterStats: ...
    def rotate(self) -> None:
        """Seal the open segment now (an empty one is kept open). Blocks, detached."""
    def close(self) -> None:
        """Write what is queued, seal, move to ready/, join the thread. Idempotent; detached."""

@final
class WriterStats:
    """A snapshot of the writer's counters. Lags run from capture_ns to the group's sync."""

    frames: int
    events: int
    bytes: int
    dropped: int
    groups: int
    segments_sealed: int
    segments_recovered: int
    queue_bytes: int
    lag_p50_ns: int
    lag_p99_ns: int
    lag_p999_ns: int
    lag_max_ns: int
    sync_p50_ns: int
    sync_p99_ns: int
    waiting_for_space: bool

@final
class Recovered:
    """What recovery did with one file of active/."""

    name: str
    uid: str
    outcome: Literal["sealed", "empty", "quarantined", "locked"]
    frames: int
    cut_bytes: int
    detail: str

def recover(
    active_dir: str, ready_dir: str, quarantine_dir: str, *, now_ns: int
) -> list[Recovered]:
    """Close every segment in active/ whose writer is dead. Idempotent."""

# -- parsing: rust/fluxforge-py/src/parser.rs ------------------------------------------------

@final
class SegmentParser:
    """Parses a segment that arrives in pieces of any size. Does no I/O."""

    def __new__(
        cls,
        feed: bytes,
        *,
        numbers: Literal["float64", "decimal"] = "float64",
        threads: int = 1,
    ) -> SegmentParser: ...
    def push(self, data: bytes) -> None: ...
    def finish(self) -> ParsedSegment: ...

@final
class Table:
    """Rows of one table; any Arrow library reads it: ``pa.table(t)``, ``pl.from_arrow(t)``."""

    num_rows: int
    column_names: list[str]
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __len__(self) -> int: ...

@final
class Partition:
    """The rows of one (table, product_id, date), in captured order, without those two columns."""

    table: str
    product_id: str | None
    date: str
    num_rows: int
    min_capture_ns: int
    max_capture_ns: int
    inexact: int
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class Balance:
    """frames = parsed + sum(ignored) + rejected, always."""

    frames: int
    parsed: int
    ignored: dict[str, int]
    rejected: int
    events: int
    rows: dict[str, int]
    inexact: dict[str, int]
    unknown_fields: dict[str, dict[str, int]]
    def holds(self) -> bool: ...

@final
class SegmentHeader:
    """Line 1 of a segment."""

    format: int
    name: str
    uid: str
    source: str
    writer: str | None
    created: str

@final
class SequenceGap:
    """One place where a connection's sequence number did not go up by one."""

    expected: int
    seen: int
    record: int
    capture_ns: int

@final
class ConnectionSequence:
    """What one connection's sequence numbers say about completeness inside this segment."""

    conn: str
    frames: int
    first_sequence: int | None
    last_sequence: int | None
    first_capture_ns: int
    last_capture_ns: int
    missing: int
    gaps: list[SequenceGap]

@final
class ParsedSegment:
    """Everything that one segment says. Attributes are computed once and shared."""

    tables: dict[str, Table]
    partitions: list[Partition]
    rejects: Table
    balance: Balance
    header: SegmentHeader | None
    sealed: bool
    verified: bool
    raw_bytes: int
    raw_xxh3: str
    connections: list[ConnectionSequence]
    events: list[bytes]
    def rejects_ndjson(self) -> bytes:
        """The rejects as lines: record, line, offset, reason, data or data_b64."""

@final
class Xxh3:
    """Streaming XXH3-64."""

    def __new__(cls) -> Xxh3: ...
    def update(self, data: bytes) -> None: ...
    def hexdigest(self) -> str:
        """Sixteen lower-case hex digits."""

"""Types of the Rust extension. The border is crossed per frame only by ``append``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, final

__all__ = [
    "PARQUET_WRITER",
    "Balance",
    "ConnectionSequence",
    "Intake",
    "Notice",
    "ParsedSegment",
    "Partition",
    "Recovered",
    "SegmentHeader",
    "SegmentInspector",
    "SegmentParser",
    "SegmentWriter",
    "SequenceGap",
    "Table",
    "WriterStats",
    "Xxh3",
    "__version__",
    "captures_with",
    "encode_parts",
    "first_captures",
    "make_partition",
    "recover",
    "recover_segment",
    "segment_has_writer",
    "segment_remainder",
]

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
    def durable_mark(self) -> tuple[int, str, int]:
        """A durable position, the segment that took its record, and that one's durable bytes.

        All records up to the position lie in that segment's bytes, which end with a checkpoint,
        and in the segments before it. The name is "" before there is one; it may be sealed since.
        """
    @property
    def accepted_position(self) -> int: ...
    @property
    def queue_bytes(self) -> int: ...
    @property
    def wake_fd(self) -> int:
        """Readable after each group became durable (which makes room), and when the writer ends."""
    def acknowledge_wake(self) -> None:
        """Drain ``wake_fd``; look at the positions after this."""
    @property
    def error(self) -> str | None:
        """Why the writer stopped for good, if it did."""
    def raise_error(self) -> None:
        """Raise what ``error`` describes, as ``append`` would; return if there is none."""
    @property
    def recovered(self) -> list[Recovered]:
        """What the constructor's recovery did."""
    def stats(self) -> WriterStats: ...
    def hold(self, held: bool) -> None:
        """Write nothing more, or go on. The queue fills meanwhile; closing ends it."""
    def rotate(self) -> None:
        """Seal what was accepted so far (nothing: no segment). Blocks, detached."""
    def close(self) -> None:
        """Write what is queued, seal, move to ready/, join the thread. Idempotent; detached.

        A full disk is given ten seconds, after which the room that ``min_free_bytes`` keeps is
        used; what was durable is recovered at the next start. Raises also if ``damage`` was found.
        """

@final
class Intake:
    """Takes one connection's frames in: appends each and looks at it, in one call per frame.

    ``attend`` names channels, as on the wire, whose frames the caller wants to read; it gets those
    without a channel too.
    """

    def __new__(
        cls, writer: SegmentWriter, conn: str, *, attend: Sequence[str] = ...
    ) -> Intake: ...
    def append(self, frame: bytes, capture_ns: int) -> Notice | None:
        """Append as ``SegmentWriter.append`` does; what that raises was not taken nor looked at.

        A number that does not follow the one before becomes an event behind the frame. Returns
        None for a frame like all the others.
        """
    def expect(self, channel: str, product_ids: Sequence[str], *, snapshot: bool = False) -> None:
        """Tell when the next rows of products come, or the next snapshot: names as on the wire."""
    def forget(self, channel: str) -> list[str]:
        """Wait for nothing more on a channel. Returns the products for which it had waited."""
    @property
    def awaited(self) -> list[tuple[str, str]]:
        """Channel and product of all that is waited for."""
    @property
    def channels(self) -> dict[str, int]:
        """Frames by channel, as on the wire; beyond 32 channels, those of all others together."""
    @property
    def frames(self) -> int: ...
    @property
    def bytes(self) -> int: ...

@final
class Notice:
    """What is not the rule about a frame.

    ``kind``, ``expected`` and ``seen`` are of its number; ``missing`` counts those before it that
    never came. ``attend``: the caller wants to read it. ``arrived``: channel and product of what
    was waited for and came with it.
    """

    @property
    def kind(self) -> Literal["gap", "repeat", "restart"] | None: ...
    @property
    def expected(self) -> int | None: ...
    @property
    def seen(self) -> int | None: ...
    @property
    def missing(self) -> int: ...
    @property
    def attend(self) -> bool: ...
    @property
    def arrived(self) -> list[tuple[str, str]]: ...

@final
class WriterStats:
    """A snapshot of the writer's counters. Lags run from capture_ns to the group's sync."""

    @property
    def frames(self) -> int: ...
    @property
    def events(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def groups(self) -> int: ...
    @property
    def segments_sealed(self) -> int: ...
    @property
    def segments_recovered(self) -> int: ...
    @property
    def poisonings(self) -> int: ...
    @property
    def queue_bytes(self) -> int: ...
    @property
    def lag_p50_ns(self) -> int: ...
    @property
    def lag_p99_ns(self) -> int: ...
    @property
    def lag_p999_ns(self) -> int: ...
    @property
    def lag_max_ns(self) -> int: ...
    @property
    def sync_p50_ns(self) -> int: ...
    @property
    def sync_p99_ns(self) -> int: ...
    @property
    def waiting_for_space(self) -> bool: ...
    @property
    def publish_error(self) -> str | None: ...
    @property
    def damage(self) -> str | None:
        """What had been durable and a failing disk did not give back."""

@final
class Recovered:
    """What recovery did with one file of active/."""

    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str:
        """Empty where the header is unreadable."""
    @property
    def outcome(self) -> Literal["sealed", "empty", "quarantined", "locked", "failed"]:
        """``failed``: the disk refused, the file is as it was; the next recovery tries again."""
    @property
    def frames(self) -> int: ...
    @property
    def cut_bytes(self) -> int: ...
    @property
    def damaged(self) -> bool:
        """Something is missing, or may be, that had been proved once: a person should look."""
    @property
    def detail(self) -> str: ...

def recover(active_dir: str, ready_dir: str, quarantine_dir: str) -> list[Recovered]:
    """Close every segment in active/ whose writer is dead. Idempotent.

    What it writes depends on nothing but the files it finds: the same bytes whoever does it.
    """

# -- one segment in hand: rust/fluxforge-py/src/segment_tools.rs -------------------------------

@final
class SegmentInspector:
    """Looks at a segment that arrives in pieces of any size. Does no I/O, changes nothing."""

    def __new__(cls) -> SegmentInspector: ...
    def push(self, data: bytes) -> None: ...
    def finish(self, writer_lives: bool) -> bytes:
        """Return the inspection as one JSON object; ``docs/segments.md`` names its fields.

        A living writer's file may end anywhere. A second call raises ValueError.
        """

def segment_has_writer(path: str) -> bool:
    """Say whether a living process holds the file's lock, as a writer does. Raises OSError."""

def segment_remainder(path: str, offset: int, into: str) -> Path | None:
    """Write what a sealed segment holds after a checkpoint's end as a segment of its own.

    It ``continues`` the other, which stays as it is; made twice it is the same. Returns where it
    lies, or None if nothing follows but the seal. Raises SegmentError if the segment is not whole,
    or no checkpoint ends there.
    """

def recover_segment(path: str, into: str) -> bytes:
    """Write a sealed copy of what a dead writer's file proves into a directory, which is made.

    The file stays as it is; nothing is replaced; twice gives the same bytes once. Raises
    ValueError for what is not a segment, SegmentFormatError for a newer format.

    Returns:
        One JSON object: ``outcome`` is ``sealed``, ``locked``, ``empty`` or ``unprovable``; with
        ``sealed`` there are ``path``, ``frames``, ``cut_bytes``, ``kept`` (files of damaged bytes)
        and ``detail``.
    """

# -- parsing: rust/fluxforge-py/src/parser.rs ------------------------------------------------

@final
class SegmentParser:
    """Parses a segment that arrives in pieces of any size. Does no I/O.

    ``feed`` is a feed's description (``load_feed(name).spec``); one that makes no sense raises
    FeedError. ``threads`` is at least 1; the result is the same for any number, bit by bit;
    pieces below half a megabyte are parsed by one. ``push`` and ``finish`` raise
    SegmentFormatError for a newer format.

    With ``stretch``, rows leave after every so many raw bytes, at a place that depends on the
    segment alone: ``take`` them after each push. The finished segment then has the last
    partitions only and tables without rows; its balance counts them all. Rejects leave likewise,
    as lines in lists of about a quarter of a stretch: ``take_rejects``; the finished segment has
    the last of them in ``rejects_ndjson``, none in ``rejects``.
    """

    def __new__(
        cls,
        feed: bytes,
        *,
        numbers: Literal["float64", "decimal"] = "float64",
        threads: int = 1,
        stretch: int | None = None,
    ) -> SegmentParser: ...
    def push(self, data: bytes) -> None: ...
    def take(self) -> list[Partition]: ...
    def take_rejects(self) -> list[bytes]: ...
    def finish(self) -> ParsedSegment: ...

@final
class Table:
    """Rows of one table; any Arrow library reads it: ``pa.table(t)``, ``pl.DataFrame(t)``.

    One batch per partition, in their order, with ``product_id`` (where the table has one) and
    ``date`` as the last columns. Names of all columns are in ``column_names``.
    """

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
    def __len__(self) -> int: ...
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
    missing_fields: dict[str, dict[str, int]]
    null_fields: dict[str, dict[str, int]]
    retyped_fields: dict[str, dict[str, int]]
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
    after_ns: int

@final
class ConnectionSequence:
    """What one connection's sequence numbers say about completeness inside this segment.

    ``last_sequence`` is the last number that was no repeat. A gap lies between ``after_ns``, when
    the connection's frame before it was captured, and ``capture_ns``.
    """

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
    """Everything that one segment says. Attributes are computed once and shared.

    ``tables`` has every table of the feed, also those without rows. ``partitions`` come in the
    order of table, product and date. ``verified`` says that every byte is covered by checkpoints
    and seal, and that all agree. ``events`` are the lines that hold events of ours, verbatim.
    """

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

# -- parts: rust/fluxforge-py/src/parts.rs -----------------------------------------------------

PARQUET_WRITER: str
"""What writes parts, with the versions that its bytes depend on."""

def encode_parts(
    partitions: Sequence[Partition],
    *,
    compression: str,
    level: int | None,
    rows_per_group: int,
    timestamp_unit: Literal["ns", "us"],
    statistics: Sequence[str],
    footers: dict[str, list[tuple[str, str]]],
    threads: int | None = None,
) -> list[tuple[bytes, str]]:
    """Encode partitions as Parquet files, each on one of at most ``threads`` threads; detached.

    Args:
        partitions: Each becomes one file.
        compression: ``zstd``, ``snappy``, ``lz4``, ``gzip`` or ``none``.
        level: The codec's level; None for zstd 1, gzip 6, and codecs that have none.
        rows_per_group: Rows in a row group.
        timestamp_unit: What the rows' nanoseconds become; ``us`` rounds down.
        statistics: Columns whose least and greatest values are noted.
        footers: By table, what its files' footers say. ``fluxforge.inexact`` is added.
        threads: The CPUs that this process may use if not given. The bytes do not depend on it.

    Returns:
        Each file and its XXH3-64 as 16 hex digits, in the partitions' order.
    """

def first_captures(
    partition: Partition, *, by: Sequence[str]
) -> list[tuple[list[str | None], int]]:
    """The distinct values of columns of words, and the earliest ``capture_ts`` of each.

    Raises ValueError where there is no such column, or it holds no words.
    """

def captures_with(partition: Partition, *, column: str, word: str) -> list[tuple[str, int]]:
    """``conn`` and ``capture_ts`` of each frame whose rows have the word in a column, in order."""

def make_partition(
    table: str,
    *,
    date: str,
    columns: Sequence[tuple[str, str, bool, Sequence[int | None] | Sequence[str | None]]],
    min_capture_ns: int,
    max_capture_ns: int,
) -> Partition:
    """Make a partition by date alone, for a table that no frame holds.

    ``columns`` are name, kind (``timestamp`` in nanoseconds, ``integer``, ``string`` or
    ``dictionary``), whether nulls are allowed, and values. Raises ValueError for columns that do
    not fit together.
    """

@final
class Xxh3:
    """Streaming XXH3-64."""

    def __new__(cls) -> Xxh3: ...
    def update(self, data: bytes) -> None: ...
    def hexdigest(self) -> str:
        """Sixteen lower-case hex digits."""

"""What the simulated exchange sent, line by line: the other half of every end-to-end proof.

One NDJSON line per frame handed to a connection's socket, in the order of sending,

    {"conn":1,"sent_ts":"2026-04-07T14:30:00.123456789Z","frame":"<the frame's text>"}

one per frame that was withheld on purpose, so that its number never came (why: lost, half-open),

    {"conn":1,"sent_ts":…,"withheld":"<the frame's text>","why":"lost"}

one per connection's beginning and end,

    {"conn":1,"sent_ts":…,"event":"open"}
    {"conn":1,"sent_ts":…,"event":"close","reason":"client closed","code":1000,"clean":true,
     "frames":1234}

and one for everything else that was done on purpose, in its place between the frames:

    repeated            sequence_num, copies    behind the frame; each copy has a line of its own
    restart             expected, seen          before the frame that has number 0 again
    altered             sequence_num, what      before the frame as it was sent
    refused             channel, product_ids    by silence, or by the error frame that follows
    ack_delayed         channel, delay          seconds, or "never"
    error               message                 before the error frame
    idle_channel        channel, product_ids    it fell silent; null: all its products
    half_open                                   nothing is sent from here on
    handshake_delayed   delay                   conn 0: no connection yet
    connection_refused  status                  conn 0
    fault, fault_ended  number, …               conn 0: what the exchange was asked to do wrong

A frame has a line if and only if it was handed to the socket while the connection was open.
``clean`` says that both sides exchanged Close frames: whoever then read to the end received every
line's frame. Writes are buffered; they reach the file at the latest when the exchange stops.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fluxforge.sim.digest import digest_rows, frame_rows
from fluxforge.sim.wire import rfc3339

BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class JournalFrame:
    """A frame that was sent."""

    conn: int
    sent_ts: str
    frame: str


@dataclass(frozen=True, slots=True)
class JournalWithheld:
    """A frame that used up its number and was not sent."""

    conn: int
    sent_ts: str
    withheld: str
    why: str


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """What happened to a connection; ``detail`` holds the line's other fields.

    Attributes:
        conn: The connection's number; 0 is the exchange itself.
    """

    conn: int
    sent_ts: str
    event: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class JournalSummary:
    """A journal in numbers.

    Attributes:
        frames: Frames sent, error frames included; those withheld are none of them.
        frames_by_channel: The same by channel as on the wire (``l2_data``); frames without a
            channel, which are error frames, count as ``error``.
        rows_by_table: Rows that the frames make, by table of the lake (``level2``).
        digests_by_table: ``fluxforge.sim.digest.digest_rows`` of these rows, by table.
    """

    frames: int
    frames_by_channel: dict[str, int]
    rows_by_table: dict[str, int]
    digests_by_table: dict[str, int]


class JournalWriter:
    """Writes a journal; an existing file is replaced."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=BUFFER_BYTES)

    def frame(self, conn: int, ns: int, text: str) -> None:
        """Write down a frame."""
        line = (
            f'{{"conn":{conn},"sent_ts":"{rfc3339(ns)}","frame":{encode_basestring_ascii(text)}}}\n'
        )
        self._file.write(line.encode())

    def withheld(self, conn: int, ns: int, text: str, *, why: str) -> None:
        """Write down a frame that was not sent."""
        line = {"conn": conn, "sent_ts": rfc3339(ns), "withheld": text, "why": why}
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def event(self, conn: int, ns: int, event: str, **detail: object) -> None:
        """Write down what happened to a connection."""
        line = {"conn": conn, "sent_ts": rfc3339(ns), "event": event, **detail}
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close the file. Idempotent."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def read_journal(path: Path | str) -> Iterator[JournalFrame | JournalWithheld | JournalEvent]:
    """Yield a journal's lines in order.

    Raises:
        FileNotFoundError: No journal lies there.
        ValueError: A line is no journal line.
    """
    with Path(path).open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                conn, sent_ts = record.pop("conn"), record.pop("sent_ts")
                if "frame" in record:
                    yield JournalFrame(conn, sent_ts, record["frame"])
                elif "withheld" in record:
                    yield JournalWithheld(conn, sent_ts, record["withheld"], record["why"])
                else:
                    yield JournalEvent(conn, sent_ts, record.pop("event"), record)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{path}, line {number}: no line of a journal") from error


def summarise(path: Path | str) -> JournalSummary:
    """Count and digest what a journal holds, with the standard library alone."""
    channels: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    digests: dict[str, int] = {}
    for record in read_journal(path):
        if not isinstance(record, JournalFrame):
            continue
        frame = json.loads(record.frame)
        channels[frame.get("channel", "error")] += 1
        table, frames_rows = frame_rows(frame)
        if table is not None:
            rows[table] += len(frames_rows)
            digests[table] = digest_rows(frames_rows, start=digests.get(table, 0))
    return JournalSummary(channels.total(), dict(channels), dict(rows), digests)

"""A segment's names: the label on its file, and the identity in its first line.

The label ``segment_{UTC hour}_{counter}[_{writer}].ndjson`` sorts by time and may one day repeat.
The identity is the uid in line 1; where there is no line 1, the hash of the content stands in.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from fluxforge.errors import SegmentFormatError

FORMAT = 1
"""The newest segment format that this version reads."""

SUFFIX = ".ndjson"
_COUNTER_DIGITS = 18
# One number has one spelling, else two names would mean the same segment.
_NAME = re.compile(
    r"segment_(\d{8}T\d{2})_(\d{5}|[1-9]\d{5,17})(?:_([A-Za-z0-9][A-Za-z0-9-]{0,62}))?", re.ASCII
)
_WRITER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_UID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SegmentName:
    """The label of a segment, taken apart. Orders by hour, then counter.

    Attributes:
        hour: The UTC hour in which it was opened.
        counter: Its number; never goes back.
        writer_id: Which of several writers on a shared storage wrote it; "" for the only one.
    """

    hour: datetime
    counter: int
    writer_id: str = ""

    def __post_init__(self) -> None:
        if self.hour.tzinfo is not UTC or self.hour != _whole(self.hour):
            raise ValueError(f"{self.hour!r} is no whole hour in datetime.UTC")
        if not 0 <= self.counter < 10**_COUNTER_DIGITS:
            raise ValueError(f"a segment's counter has 1 to {_COUNTER_DIGITS} digits")
        if self.writer_id and not _WRITER.fullmatch(self.writer_id):
            raise ValueError(
                f"{self.writer_id!r} is no writer id: use 1 to 63 letters, digits or hyphens, "
                "not beginning with one"
            )

    def __str__(self) -> str:
        writer = f"_{self.writer_id}" if self.writer_id else ""
        # strftime leaves the zeros of an early year out; isoformat never does.
        hour = self.hour.isoformat()[:13].replace("-", "")
        return f"segment_{hour}_{self.counter:05}{writer}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Take a name apart; None if it is no segment's. ``.ndjson`` and ``.zst`` may follow."""
        match = _NAME.fullmatch(text.removesuffix(".zst").removesuffix(SUFFIX))
        if match is None:
            return None
        hour, counter, writer = match.groups(default="")
        try:
            opened = datetime.fromisoformat(hour).replace(tzinfo=UTC)
        except ValueError:
            return None
        return cls(hour=opened, counter=int(counter), writer_id=writer)


def _whole(hour: datetime) -> datetime:
    return hour.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderInfo:
    """What line 1 of a segment says.

    Attributes:
        format: The format's number.
        name: The label under which it was written.
        uid: Its identity: 32 hex digits.
        source: The feed.
        writer: The writer's id, if it has one.
        created: When it was created, RFC 3339 in UTC.
    """

    format: int
    name: str
    uid: str
    source: str
    writer: str | None
    created: str


def read_header(first_line: bytes) -> HeaderInfo | None:
    """Read line 1 of a segment; None if it is not a header (then the content's hash is the uid).

    Raises:
        SegmentFormatError: A newer FluxForge wrote the segment.
    """
    if not first_line.startswith(b'{"segment":'):
        return None
    try:
        fields = json.loads(first_line)["segment"]
        number = fields["format"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    if number > FORMAT:
        raise SegmentFormatError(
            f"the segment has format {number}, this FluxForge knows {FORMAT}: it was written by a "
            "newer FluxForge; nothing was changed; upgrade to read it"
        )
    try:
        header = HeaderInfo(
            format=number,
            name=fields["name"],
            uid=fields["uid"],
            source=fields["source"],
            writer=fields.get("writer"),
            created=fields["created"],
        )
    except KeyError:
        return None
    # Name and uid become parts of keys, so they are taken for what they say only in their form.
    is_header = (
        number == FORMAT
        and isinstance(header.uid, str)
        and _UID.fullmatch(header.uid) is not None
        and isinstance(header.name, str)
        and SegmentName.parse(header.name) is not None
    )
    return header if is_header else None

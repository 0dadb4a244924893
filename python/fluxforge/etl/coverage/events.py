"""Our own lines in a segment, taken apart. What is not understood is passed over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

_WHOLE_SECONDS = 19  # of 2025-12-03T14:00:00.123456789Z


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event.

    Attributes:
        conn: The connection that it speaks of.
        at_ns: When it was recorded, nanoseconds since the epoch.
        kind: Which; ``docs/segments.md`` lists them.
        fields: What else it says.
    """

    conn: str
    at_ns: int
    kind: str
    fields: dict[str, Any]

    def time_ns(self, name: str) -> int | None:
        """Return a field that holds a time; None if it holds none."""
        text = self.fields.get(name)
        return parse_ns(text) if isinstance(text, str) else None

    def text(self, name: str) -> str | None:
        """Return a field that holds text; None if it holds none."""
        text = self.fields.get(name)
        return text if isinstance(text, str) else None

    def names(self, name: str) -> list[str]:
        """Return a field that holds a list of names."""
        names = self.fields.get(name)
        return [each for each in names if isinstance(each, str)] if isinstance(names, list) else []


def read_event(line: bytes) -> Event | None:
    """Take a line apart; None if it is no event of a connection."""
    try:
        record = orjson.loads(line)
        event, conn, at = record["event"], record["conn"], parse_ns(record["capture_ts"])
        kind = event["kind"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    if at is None or not isinstance(conn, str) or not isinstance(kind, str):
        return None
    return Event(conn=conn, at_ns=at, kind=kind, fields=event)


def parse_ns(text: str) -> int | None:
    """Read RFC 3339 in UTC, as a segment has it, to nanoseconds since the epoch."""
    try:
        whole = datetime.fromisoformat(text[:_WHOLE_SECONDS]).replace(tzinfo=UTC)
        fraction = text[_WHOLE_SECONDS:].rstrip("Z").lstrip(".")
        return int(whole.timestamp()) * 10**9 + int(fraction[:9].ljust(9, "0"))
    except ValueError:
        return None

"""Frames that say something else than a client expects: other fields, other types, another order.

A frame is decoded, changed and written again with its keys in their order, so nothing but the
change is different. The journal has the frame as it was sent, and a note before it.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Literal

from pydantic import Field, JsonValue

from fluxforge.sim.faults.fault import FrameFault, Line, Note

Place = Literal["envelope", "event", "row"]
"""The frame itself, an element of its events, or an element of an event's rows."""


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0


_CHANGES: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "text": lambda value: value if isinstance(value, str) else json.dumps(value),
    "null": lambda _value: None,
    "list": lambda value: [value],
    "object": lambda value: {"value": value},
}


class _FieldFault(FrameFault):
    """Changes one field wherever it occurs in a place.

    Attributes:
        field: The field's name.
        place: Where it is.
    """

    field: str = Field(min_length=1)
    place: Place = "row"

    def treat(self, text: str, rng: Random) -> tuple[Line, ...]:  # noqa: ARG002 (part of the form)
        """Change it; a frame without such a field stays as it is."""
        frame = json.loads(text)
        if not sum([self.change(holder) for holder in _holders(frame, self.place)]):
            return (text,)
        return _altered(frame, f"{self.verb()} {self.place}.{self.field}")

    @abstractmethod
    def change(self, holder: dict[str, Any]) -> bool:
        """Change the field in one object; say whether anything was changed."""

    @abstractmethod
    def verb(self) -> str:
        """Return the word for the journal."""


class AddField(_FieldFault):
    """Add a field that no client knows.

    Attributes:
        value: What it holds.
    """

    fault: Literal["add_field"] = "add_field"
    field: str = Field("surprise", min_length=1)
    value: JsonValue = "surprise"

    def change(self, holder: dict[str, Any]) -> bool:
        """Add it."""
        holder[self.field] = self.value
        return True

    def verb(self) -> str:
        """Return the word for the journal."""
        return "added"


class RemoveField(_FieldFault):
    """Leave a field out."""

    fault: Literal["remove_field"] = "remove_field"

    def change(self, holder: dict[str, Any]) -> bool:
        """Remove it."""
        return holder.pop(self.field, self) is not self

    def verb(self) -> str:
        """Return the word for the journal."""
        return "removed"


class RetypeField(_FieldFault):
    """Write a field as another type.

    Attributes:
        to: ``number`` (0 if it is none), ``text``, ``null``, ``list`` or ``object`` around it.
    """

    fault: Literal["retype_field"] = "retype_field"
    to: Literal["number", "text", "null", "list", "object"]

    def change(self, holder: dict[str, Any]) -> bool:
        """Retype it."""
        if self.field not in holder:
            return False
        holder[self.field] = _CHANGES[self.to](holder[self.field])
        return True

    def verb(self) -> str:
        """Return the word for the journal."""
        return "retyped"


class UnsortedSnapshots(FrameFault):
    """Shuffle the levels of level2 snapshots, both sides among each other."""

    fault: Literal["unsorted_snapshots"] = "unsorted_snapshots"
    channel: Literal["level2"] = "level2"

    def treat(self, text: str, rng: Random) -> tuple[Line, ...]:
        """Shuffle it; what is no snapshot stays as it is."""
        if '"type":"snapshot"' not in text:
            return (text,)
        frame = json.loads(text)
        for event in frame["events"]:
            rng.shuffle(event["updates"])
        return _altered(frame, "unsorted snapshot")


def _altered(frame: dict[str, Any], what: str) -> tuple[Line, ...]:
    note = Note("altered", {"sequence_num": frame.get("sequence_num"), "what": what})
    return (note, json.dumps(frame, separators=(",", ":")))


def _holders(frame: dict[str, Any], place: Place) -> Iterator[dict[str, Any]]:
    if place == "envelope":
        yield frame
        return
    for event in frame["events"]:
        if place == "event":
            yield event
            continue
        for rows in event.values():
            if isinstance(rows, list):
                yield from (row for row in rows if isinstance(row, dict))

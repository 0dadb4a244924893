"""What a lake must know that it lacks, worked out a second time from what the exchange sent.

Standard library only, and nothing of fluxforge, as ``oracle``. The journal has every number that a
connection used up: of frames sent, and of frames withheld. Raw in the archive has the numbers that
were kept. What lies between must be told, number by number:

    inside a connection   the numbers of all rows with a ``missing`` are those that never came
    after its last frame  if anything was sent still, a row says from which number on nothing came
    a connection of which nothing was kept   what was sent on it lies inside a hole
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import oracle

_NUMBER = re.compile(r'"sequence_num":(\d+)')
_FIRST = 40  # frames by which a connection is recognised


@dataclass
class Sent:
    """One connection as the exchange knows it: its numbers, and when it sent the first and last."""

    sent: set[int] = field(default_factory=set)
    withheld: set[int] = field(default_factory=set)
    beginning: list[str] = field(default_factory=list)
    first_ts: str = ""
    last_ts: str = ""


@dataclass
class Kept:
    """One connection as raw has it: its numbers, in the order of capture, and how it began."""

    numbers: list[int] = field(default_factory=list)
    beginning: list[str] = field(default_factory=list)


def sent_by_connection(journal: Path) -> dict[int, Sent]:
    """What a journal says of each connection."""
    connections: dict[int, Sent] = {}
    with journal.open(encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            text = record.get("frame") or record.get("withheld")
            if text is None or (number := _number(text)) is None:
                continue
            connection = connections.setdefault(record["conn"], Sent())
            if "withheld" in record:
                connection.withheld.add(number)
                continue
            connection.sent.add(number)
            connection.first_ts = connection.first_ts or record["sent_ts"]
            connection.last_ts = record["sent_ts"]
            if len(connection.beginning) < _FIRST:
                connection.beginning.append(text)
    return connections


def kept_by_connection(raw_lines: Iterable[str]) -> dict[str, Kept]:
    """What lines of segments say of each connection."""
    connections: dict[str, Kept] = {}
    for line in raw_lines:
        begin = line.find('"data":')
        if begin < 0:
            continue
        text = line.rstrip()[begin + len('"data":') : -1]
        if (number := _number(text)) is None:
            continue
        connection = connections.setdefault(json.loads(line)["conn"], Kept())
        connection.numbers.append(number)
        if len(connection.beginning) < _FIRST:
            connection.beginning.append(text)
    return connections


def assert_every_loss_is_known(
    journal: Path, raw_lines: Iterable[str], holes: list[dict[str, Any]]
) -> Counter[str]:
    """Hold a lake's holes, as ``fluxforge gaps --json`` lists them, against the journal.

    Returns:
        How many frames were lost in which way, so that a test can say that any were.
    """
    sent, kept = sent_by_connection(journal), kept_by_connection(raw_lines)
    pairs = dict(_pairs(sent, kept))
    assert set(pairs.values()) == set(kept), "raw has a connection that the exchange knows not"
    lost: Counter[str] = Counter()
    for number, connection in sent.items():
        if number not in pairs:
            lost["whole connections"] += 1
            assert _lies_in_a_hole(connection, holes), f"connection {number} vanished"
            continue
        conn = pairs[number]
        numbers, of_conn = kept[conn].numbers, [hole for hole in holes if hole["conn"] == conn]
        assert len(numbers) == len(set(numbers)), f"{conn}: a frame was kept twice"
        used, last = connection.sent | connection.withheld, max(numbers)
        assert set(numbers) <= connection.sent, f"{conn}: a frame was kept that was never sent"
        never_came = {n for n in used - set(numbers) if n < last}
        told = _told(of_conn)
        assert told == Counter(never_came), (
            f"{conn}: told and came, or twice: {told - Counter(never_came)}; "
            f"never came, not told: {Counter(never_came) - told}"
        )
        lost["inside"] += len(never_came)
        if died := [n for n in connection.sent if n > last]:
            lost["with an end"] += len(died)
            ends = [hole["first_sequence"] for hole in of_conn if _is_end(hole)]
            assert last + 1 in ends, f"{conn}: {len(died)} frames after {last} are not told of"
    return lost


def _pairs(sent: dict[int, Sent], kept: dict[str, Kept]) -> Iterator[tuple[int, str]]:
    """Which of the exchange's connections is which of ours: by what came first on it."""
    whose = {text: number for number, each in sent.items() for text in each.beginning}
    for conn, connection in kept.items():
        votes = Counter(whose[text] for text in connection.beginning if text in whose)
        if votes:
            yield votes.most_common(1)[0][0], conn


def _told(holes: list[dict[str, Any]]) -> Counter[int]:
    told: Counter[int] = Counter()
    for hole in holes:
        if hole["missing"] is not None:
            numbers = range(hole["first_sequence"], hole["last_sequence"] + 1)
            assert hole["missing"] == len(numbers) > 0, hole
            told.update(numbers)
    return told


def _is_end(hole: dict[str, Any]) -> bool:
    return hole["missing"] is None and hole["state"] in {"gap", "disconnected"}


def _lies_in_a_hole(connection: Sent, holes: list[dict[str, Any]]) -> bool:
    if not connection.sent:
        return True
    first, last = _ns(connection.first_ts), _ns(connection.last_ts)
    return any(
        _ns(hole["start_ts"]) <= first and (hole["end_ts"] is None or last <= _ns(hole["end_ts"]))
        for hole in holes
        if _is_end(hole)
    )


def _ns(text: str) -> int:
    moment = oracle.nanoseconds(text)
    assert moment is not None
    return moment


def _number(text: str) -> int | None:
    # Of a frame's head: its rows have no number of their own.
    found = _NUMBER.search(text, 0, 400)
    return int(found[1]) if found else None

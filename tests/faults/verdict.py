"""DESIGN's oracle over what a recovery left: acknowledged ⊆ recovered ⊆ sent, once, in order."""

from __future__ import annotations

import json
from pathlib import Path

import written_segment
from faults.capture import frame
from faults.lives import Life
from written_segment import WrittenSegment


class PromiseBroken(AssertionError):  # noqa: N818  what a suite must raise when a rule is left out
    """The disk does not hold what was promised."""


def require(kept: bool, promise: str) -> None:  # noqa: FBT001  an assertion with a name
    if not kept:
        raise PromiseBroken(promise)


def published_stay_published(ready: Path, life: Life) -> None:
    """What was said to lie in ready/ lies there, before anybody recovered anything."""
    texts = [path.read_bytes() for path in ready.glob("segment_*.ndjson")] if ready.exists() else []
    found = b"".join(texts)
    for number in life.published:
        require(frame(number) in found, f"{number} was published, and is not in ready/")


def recovered(raw: Path, *lives: Life) -> list[WrittenSegment]:
    """Judge lives, in their order, by all the segments in ready/; return these."""
    left = [path.name for path in (raw / "active").glob("segment_*")]
    require(not left, f"left in active/: {left}")
    try:
        segments = written_segment.read_all(raw / "ready")
    except (AssertionError, ValueError, KeyError, IndexError) as error:
        raise PromiseBroken(f"a published segment proves nothing: {error!r}") from error
    found = [text for one in segments for text in one.frames]
    counts = [sum(one.conns.count(f"c{life.first}") for one in segments) for life in lives]
    expected = [
        frame(life.first + n)
        for life, count in zip(lives, counts, strict=True)
        for n in range(count)
    ]
    require(found == expected, f"not what was sent, each once, in order: {shape(found)}")
    for life, count in zip(lives, counts, strict=True):
        acknowledged, sent = len(life.durable), len(life.sent)
        require(count >= acknowledged, f"{count} found, {acknowledged} acknowledged")
        require(count <= sent, f"{count} found, {sent} sent")
        ends_of_connection(segments, life)
    return segments


def ends_of_connection(segments: list[WrittenSegment], life: Life) -> None:
    """A connection that was cut off ends in one gap, after everything that came over it."""
    conn = f"c{life.first}"
    kinds = [event["kind"] for one in segments for event in one.events if event["conn"] == conn]
    ends = {"disconnected"} if life.has("closed") else {"gap"}
    if life.has("parting"):
        ends.add("disconnected")
    if kinds or any(conn in one.conns for one in segments):
        require(kinds[:1] == ["connected"], f"its events are {kinds}")
        require(len(kinds) == 2 and kinds[1] in ends, f"its events are {kinds}, not {ends}")


def names_never_repeat(taken: dict[str, str], segments: list[WrittenSegment]) -> None:
    """No name comes twice; `taken` maps the names of earlier lives to their uids."""
    for segment in segments:
        uid = taken.setdefault(segment.name, segment.header["uid"])
        require(uid == segment.header["uid"], f"{segment.name} has been taken before")


def shape(frames: list[bytes]) -> str:
    """Runs of consecutive numbers, for a person."""
    runs: list[list[int]] = []
    for number in (json.loads(text)["number"] for text in frames):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}..{last}" for first, last in runs)

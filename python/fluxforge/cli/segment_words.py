"""What ``fluxforge segment`` found out, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from fluxforge.cli.report import size

Verdict = Literal[
    "whole", "growing", "unsealed", "cut", "damaged", "empty", "plain", "newer"
]  # fmt: skip

EXIT_CODES: Mapping[Verdict, int] = {
    "whole": 0, "growing": 0,
    "unsealed": 1, "cut": 1, "damaged": 1, "empty": 1,
    "plain": 2, "newer": 2,
}  # fmt: skip

_VERDICTS: Mapping[Verdict, str] = {
    "whole": "checkpoints and seal vouch for every byte",
    "growing": "its writer lives, and every finished group is proved",
    "unsealed": "ends at a checkpoint: its writer died between two groups, nothing is torn",
    "cut": "its writer died in a group; what is torn was never reported durable",
    "damaged": "something that was proved once is not any more",
    "empty": "there is not one byte in it",
    "plain": "not a segment: line 1 is no header, so nothing vouches for it",
    "newer": "a newer FluxForge wrote it: upgrade to read it",
}


class Damage(TypedDict):
    """One place; see ``fluxforge_core::inspect::Damage``."""

    what: Literal["header", "corrupt", "torn", "seal", "trailing"]
    line: int
    lines: int
    offset: int
    bytes: int
    group: int
    frames: int | None


class Inspection(TypedDict):
    """What ``SegmentInspector.finish`` returns; see ``fluxforge_core::inspect::Inspection``."""

    verdict: Verdict
    format: int | None
    header: dict[str, Any] | None
    bytes: int
    lines: int
    frames: int
    events: int
    first_ts: str | None
    last_ts: str | None
    connections: dict[str, int]
    kinds: dict[str, int]
    groups: int
    last_checkpoint: dict[str, int] | None
    seal: dict[str, Any] | None
    seal_holds: bool
    damage: list[Damage]


class Copy(TypedDict):
    """What ``recover_segment`` returns; ``whole`` where there was nothing to do."""

    outcome: Literal["sealed", "locked", "empty", "unprovable", "whole"]
    path: NotRequired[str]
    frames: NotRequired[int]
    cut_bytes: NotRequired[int]
    damaged: NotRequired[bool]
    kept: NotRequired[list[str]]
    detail: NotRequired[str]


def summarise(inspection: Inspection) -> str:
    """Say in one line what a file is, and where its first damage lies."""
    verdict = inspection["verdict"]
    if verdict in {"empty", "plain", "newer"}:
        return f"{verdict}: {_VERDICTS[verdict]}"
    line = f"{verdict}, {_records(inspection)} proved"
    return "; ".join([line, *(_damage(one) for one in inspection["damage"])])


def describe(file: Path, inspection: Inspection) -> Iterator[tuple[str, str]]:
    """Say everything, as pairs of a key and a text."""
    verdict = inspection["verdict"]
    yield "file", str(file)
    yield "verdict", f"{verdict}: {_VERDICTS[verdict]}"
    yield "size", f"{size(inspection['bytes'])}, {inspection['lines']:,} lines"
    if inspection["format"] is not None:
        yield "format", str(inspection["format"])
    yield from _header(inspection["header"])
    if inspection["groups"]:
        yield from _proved(inspection)
        yield "seal", _seal(inspection)
    for damage in inspection["damage"]:
        yield "damage", _damage(damage)
    if verdict in {"unsealed", "cut", "damaged"} and inspection["groups"]:
        yield "what to do", f"fluxforge segment recover {file} (keeps {_records(inspection)})"


def describe_copy(file: Path, copy: Copy) -> Iterator[str]:
    """Say what ``recover`` did."""
    match copy["outcome"]:
        case "whole":
            yield f"{file} is whole: there is nothing to recover, nothing was written"
        case "locked":
            yield f"{file} has a living writer: nothing was written"
        case "empty":
            yield f"{file} has a header and no records: nothing was written"
        case "unprovable":
            yield f"no checkpoint in {file} proves anything: nothing was written, keep the file"
        case "sealed":
            yield f"wrote {copy['path']}: {copy['frames']:,} frames, sealed"
            if copy["detail"]:
                yield f"  {copy['detail']}"
            for kept in copy["kept"]:
                yield f"  damaged bytes: {kept}"
            yield f"{file} is as it was"


def _header(header: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    if header is None:
        return
    writer = f", writer {header['writer']}" if header["writer"] else ""
    yield "name", f"{header['name']} ({header['source']}{writer})"
    yield "uid", header["uid"]
    yield "created", header["created"]
    if continues := header["continues"]:
        where = f"{continues['uid']} from its checkpoint {continues['checkpoint']:,}"
        yield "continues", f"{where}: the disk failed under that segment, which ends there"


def _proved(inspection: Inspection) -> Iterator[tuple[str, str]]:
    yield "proved", f"{_records(inspection)} in {inspection['groups']:,} groups"
    if inspection["first_ts"]:
        yield "captured", f"{inspection['first_ts']} to {inspection['last_ts']}"
    for conn, frames in inspection["connections"].items():
        yield "connection", f"{conn}: {frames:,} frames"
    for kind, count in inspection["kinds"].items():
        yield "events", f"{kind}: {count:,}"
    if last := inspection["last_checkpoint"]:
        where = f"number {last['n']:,} in line {last['line']:,}"
        yield "last checkpoint", f"{where}; what is proved ends at byte {last['end']:,}"


def _seal(inspection: Inspection) -> str:
    seal = inspection["seal"]
    if seal is None:
        return "none"
    counts = (
        f"{seal['frames']:,} frames, {seal['events']:,} events, durability {seal['durability']}"
    )
    return f"holds: {counts}" if inspection["seal_holds"] else f"does not hold; it says {counts}"


def _damage(damage: Damage) -> str:
    first, last = damage["line"], damage["line"] + damage["lines"] - 1
    where = f"lines {first:,} to {last:,}" if last > first else f"line {first:,}"
    text = f"{where}, from byte {damage['offset']:,}: {_harm(damage)}"
    if damage["frames"] is not None:
        text += f"; {damage['frames']:,} frames in it were vouched for once"
    return text


def _harm(damage: Damage) -> str:
    count = f"{damage['bytes']:,} bytes"
    match damage["what"]:
        case "header":
            return "the header makes no sense, so nothing after it can be proved"
        case "corrupt":
            return f"{count} of group {damage['group']:,} are corrupt"
        case "torn":
            return f"{count} that no checkpoint follows"
        case "seal":
            return "the seal does not vouch for what stands before it"
        case "trailing":
            return f"{count} after the seal, where nothing may follow"


def _records(inspection: Inspection) -> str:
    return f"{inspection['frames']:,} frames and {inspection['events']:,} events"

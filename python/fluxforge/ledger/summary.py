"""What a set of commits adds up to: the answer to "what do I have, and what am I missing?"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from fluxforge.ledger.commit import Commit, ConnectionSpan


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeSummary:
    """Totals over commits.

    Attributes:
        segments: Committed segments.
        damaged: Segments whose checkpoints or seal did not match their bytes.
        frames: Frames in them.
        parsed: Frames that became rows.
        ignored: Frames by the name of the channel that is ignored on purpose.
        rejected: Frames kept in ``_rejects/``.
        rows: Rows by table.
        parts: Parquet files.
        parquet_bytes: Their size.
        raw_bytes: Size of the raw segments before archiving.
        connections: Connections seen.
        missing: Sequence numbers that never arrived, inside segments and between them.
        gaps: Places where they are missing.
    """

    segments: int
    damaged: int
    frames: int
    parsed: int
    ignored: dict[str, int]
    rejected: int
    rows: dict[str, int]
    parts: int
    parquet_bytes: int
    raw_bytes: int
    connections: int
    missing: int
    gaps: int

    @property
    def balanced(self) -> bool:
        """Whether every frame is accounted for."""
        return self.frames == self.parsed + sum(self.ignored.values()) + self.rejected


def summarise(commits: Iterable[Commit]) -> LakeSummary:
    """Add commits up; sequence numbers are followed across segments by connection."""
    commits = list(commits)
    rows: Counter[str] = Counter()
    ignored: Counter[str] = Counter()
    spans: dict[str, list[ConnectionSpan]] = {}
    for commit in commits:
        rows.update(commit.balance.rows)
        ignored.update(commit.balance.ignored)
        for span in commit.connections:
            spans.setdefault(span.conn, []).append(span)
    missing = gaps = 0
    for of_connection in spans.values():
        missing += sum(span.missing for span in of_connection)
        gaps += sum(len(span.gaps) for span in of_connection)
        between = _missing_between(of_connection)
        missing += sum(between)
        gaps += len(between)
    return LakeSummary(
        segments=len(commits),
        damaged=sum(commit.raw.damaged for commit in commits),
        frames=sum(commit.balance.frames for commit in commits),
        parsed=sum(commit.balance.parsed for commit in commits),
        ignored=dict(ignored),
        rejected=sum(commit.balance.rejected for commit in commits),
        rows=dict(rows),
        parts=sum(len(commit.parts) for commit in commits),
        parquet_bytes=sum(part.bytes for commit in commits for part in commit.parts),
        raw_bytes=sum(commit.raw.bytes for commit in commits),
        connections=len(spans),
        missing=missing,
        gaps=gaps,
    )


def _missing_between(spans: list[ConnectionSpan]) -> list[int]:
    """Sequence numbers that one connection lost between one segment and the next."""
    numbered = sorted(
        (span.first_sequence, span.last_sequence)
        for span in spans
        if span.first_sequence is not None and span.last_sequence is not None
    )
    jumps = (following[0] - before[1] - 1 for before, following in pairwise(numbered))
    return [jump for jump in jumps if jump > 0]

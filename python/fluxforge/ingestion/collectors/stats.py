"""What is counted of a connection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class CollectorStats:
    """Counters of one planned connection over all its reconnects.

    Attributes:
        frames: Frames received.
        bytes: Their size.
        connects: Successful connects.
        connected: Whether it is connected now.
        gaps: Places where numbers never came.
        missing: How many numbers that were.
        repeats: Frames whose number had come before.
        restarts: Times that a connection began to count anew.
        resyncs: Times that books were asked for anew.
        stalls: Silences that lasted too long.
        refusals: Error frames received.
        last_error: Why it was last disconnected or could not connect.
    """

    frames: int = 0
    bytes: int = 0
    connects: int = 0
    connected: bool = False
    gaps: int = 0
    missing: int = 0
    repeats: int = 0
    restarts: int = 0
    resyncs: int = 0
    stalls: int = 0
    refusals: int = 0
    last_error: str | None = None

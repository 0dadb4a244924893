"""Frames that never come, that come twice, and numbers that begin again."""

from __future__ import annotations

from random import Random
from typing import Literal

from fluxforge.sim.faults.fault import Deed, FrameFault, Line, Note, Way, Withheld, sequence_num


class Lose(FrameFault):
    """Withhold frames. Each uses up its number: the client sees a gap."""

    fault: Literal["lose"] = "lose"

    def treat(self, text: str, rng: Random) -> tuple[Line, ...]:  # noqa: ARG002 (part of the form)
        """Keep it from the client."""
        return (Withheld(text, "lost"),)


class Repeat(FrameFault):
    """Send frames again, number and all, right behind themselves.

    Attributes:
        copies: How many more than one.
    """

    fault: Literal["repeat"] = "repeat"
    copies: int = 1

    def treat(self, text: str, rng: Random) -> tuple[Line, ...]:  # noqa: ARG002 (part of the form)
        """Send it, and again."""
        note = Note("repeated", {"sequence_num": sequence_num(text), "copies": self.copies})
        return (text, note, *(text,) * self.copies)


class Restart(Deed):
    """Begin again with number 0 in the middle of a connection."""

    fault: Literal["restart"] = "restart"

    def do(self, way: Way) -> None:
        """Number the next frame 0."""
        way.restart_numbers()

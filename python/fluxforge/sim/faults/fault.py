"""When a fault happens and to whom: what every misbehaviour has in common.

A fault is a value, checked when it is made, from Python as from a scenario file:

    Lose(at=5, seconds=10, share=0.02, channel="level2")

It takes its turns at these times, for each connection by itself:

    at              seconds from the exchange's start, or from when it was asked to misbehave
    after_seconds   … and not before a connection is this old
    after_frames    … and not before so many numbered frames were made for it
    seconds         how long a turn lasts; without it, to the next turn or the end
    every, times    seconds from one turn to the next, and how many turns there are

What lasts (``FrameFault`` and the like) holds for every connection while a turn lasts. What is done
in a moment (``Deed``) is done once in each turn, to the connections that were open as it began.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Channel = Literal[
    "level2", "market_trades", "ticker", "ticker_batch", "candles", "status", "heartbeats"
]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
HangUp = Literal["close", "drop", "reset"]

WIRE_NAMES = {"level2": "l2_data"}
"""The channels whose frames carry another name than the one used to subscribe."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value


class Fault(BaseModel):
    """One way to misbehave, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: str
    at: float = Field(0.0, ge=0, allow_inf_nan=False)
    seconds: Seconds | None = None
    every: Seconds | None = None
    times: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _turns_make_sense(self) -> Self:
        if self.times is not None and self.every is None:
            raise ValueError("times counts turns, which only every makes: give every=SECONDS too")
        if self.every is not None and self.seconds is not None and self.seconds > self.every:
            raise ValueError(f"a turn of {self.seconds} s does not fit into every {self.every} s")
        return self

    def fields(self) -> dict[str, Any]:
        """Return what a scenario file would say."""
        return {"fault": self.fault, **self.model_dump(mode="json", exclude_defaults=True)}

    def turn(self, since: float) -> int | None:
        """Return which turn it is, from 0 on, so many seconds after the first began, or None."""
        turn, into = (0.0, since) if self.every is None else divmod(since, self.every)
        if since < 0 or (self.times is not None and turn >= self.times):
            return None
        return None if self.seconds is not None and into >= self.seconds else int(turn)


class ConnectionFault(Fault):
    """What happens to connections: all of them, or those named by their numbers in the journal."""

    connections: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...] | None, BeforeValidator(_listed)
    ] = None
    after_seconds: float = Field(0.0, ge=0, allow_inf_nan=False)
    after_frames: int = Field(0, ge=0)


@dataclass(frozen=True, slots=True)
class Withheld:
    """A frame that used up its number and is not sent."""

    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Note:
    """What the journal is told beside the frames."""

    event: str
    detail: dict[str, Any] = field(default_factory=dict)


Line = str | Withheld | Note
"""What becomes of a frame: text to send, and what the journal should know, in order."""


class FrameFault(ConnectionFault):
    """What happens to frames, after they were numbered.

    Attributes:
        channel: Only frames of this channel, by the name used to subscribe.
        product: Only frames that name this product.
        share: Of those, which share; who is hit follows from the exchange's seed.
        frames: At most so many in a turn, on each connection.
    """

    channel: Channel | Literal["subscriptions"] | None = None
    product: str | None = None
    share: Share = 1.0
    frames: int | None = Field(None, ge=1)

    def concerns(self, text: str) -> bool:
        """Say whether a frame is of the channel and of the product."""
        if self.channel is not None:
            name = WIRE_NAMES.get(self.channel, self.channel)
            if not text.startswith(f'{{"channel":"{name}",'):
                return False
        return self.product is None or f'"{self.product}"' in text

    @abstractmethod
    def treat(self, text: str, rng: Random) -> tuple[Line, ...]:
        """Return what becomes of a frame. One that comes back as it was does not count as hit."""


def sequence_num(text: str) -> int | None:
    """Return a frame's number, for the journal's notes."""
    number = json.loads(text).get("sequence_num")
    return number if isinstance(number, int) else None


class Way(Protocol):
    """One connection's way out, as deeds use it."""

    def note(self, event: str, **detail: Any) -> None:
        """Tell the journal, in its place between the frames."""

    def restart_numbers(self) -> None:
        """Number the next frame 0."""

    def put_error(self, message: str) -> None:
        """Send an error frame."""

    def hang_up(self, how: HangUp, *, code: int, reason: str) -> None:
        """Send what is held, and end the connection."""

    def fall_silent(self, *, reset_after: float | None) -> None:
        """Send what is held; from then on be a host that died without a word."""


class Deed(ConnectionFault):
    """What is done to a connection in a moment: before its next frame, or by the clock."""

    @abstractmethod
    def do(self, way: Way) -> None:
        """Do it."""

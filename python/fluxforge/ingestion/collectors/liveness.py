"""Silence of one connection, and what is the smallest thing to do about it. Pure: counts in.

    nothing at all came     the connection is made anew
    heartbeats are missing  subscribed anew; if that brings none either, the connection
    a channel went silent   subscribed anew; it then begins with a snapshot, so if not even that
                            comes, the connection

Time in which we did not read, because the disk held us back, is no silence of the venue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Step = Literal["resubscribe", "reconnect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long which silence may last, in seconds.

    Attributes:
        silence: Without any frame.
        heartbeats: Without a heartbeat; so long again after asking for them anew.
        channel: Without a frame of a channel that has come before.
        answer: Until a channel that was asked for anew begins.
    """

    silence: float = 15.0
    heartbeats: float = 10.0
    channel: float = 300.0
    answer: float = 30.0


@dataclass(frozen=True, slots=True)
class Stall:
    """A silence that was noticed.

    Attributes:
        what: Which: of heartbeats, of a channel, or of the whole socket.
        channel: The silent channel, as one subscribes to it; None: all of them.
        seconds: How long it has lasted.
        step: What to do about it.
    """

    what: Literal["heartbeats", "channel", "socket"]
    channel: str | None
    seconds: float
    step: Step


@dataclass(slots=True)
class _Channel:
    frames: int = 0
    heard_at: float = 0.0
    asked_anew_at: float | None = None


class Liveness:
    """Watches the counts of one connection; times are seconds in which it was read.

    Args:
        timeouts: How long which silence may last.
        channels: What was subscribed to: the name on the wire, by the name one subscribes with.
        heartbeat_channel: The one of them that speaks each second.
    """

    def __init__(
        self, timeouts: Timeouts, *, channels: Mapping[str, str], heartbeat_channel: str
    ) -> None:
        self._timeouts = timeouts
        self._wire_names = channels
        self._heartbeats = heartbeat_channel
        self._channels = {channel: _Channel() for channel in channels}
        self._frames = 0
        self._heard_at = 0.0

    def look(self, frames: int, counts: Mapping[str, int], *, now: float) -> Sequence[Stall]:
        """Compare the counts with those of the last look.

        Args:
            frames: Frames of the connection so far.
            counts: By channel, as on the wire.
            now: Seconds of the connection's life in which it was read.

        Returns:
            Silences that have just become too long.
        """
        if frames != self._frames:
            self._frames, self._heard_at = frames, now
        for channel, state in self._channels.items():
            count = counts.get(self._wire_names[channel], 0)
            if count != state.frames:
                state.frames, state.heard_at, state.asked_anew_at = count, now, None
        silence = now - self._heard_at
        if silence >= self._timeouts.silence:
            self._heard_at = now  # once is enough
            return [Stall("socket", None, silence, "reconnect")]
        return [stall for stall in self._silent_channels(now) if stall is not None]

    def _silent_channels(self, now: float) -> Iterator[Stall | None]:
        for channel, state in self._channels.items():
            if channel == self._heartbeats:
                patience = self._timeouts.heartbeats
                yield self._stall(
                    "heartbeats", channel, state, now=now, patience=patience, then=patience
                )
            elif state.frames:  # what never came is the subscription's matter
                patience = self._timeouts.channel
                answer = self._timeouts.answer
                yield self._stall(
                    "channel", channel, state, now=now, patience=patience, then=answer
                )

    @staticmethod
    def _stall(
        what: Literal["heartbeats", "channel"],
        channel: str,
        state: _Channel,
        *,
        now: float,
        patience: float,
        then: float,
    ) -> Stall | None:
        """Ask anew after ``patience``, and give the connection up after ``then`` more."""
        silence = now - state.heard_at
        if state.asked_anew_at is None:
            if silence < patience:
                return None
            state.asked_anew_at = now
            return Stall(what, channel, silence, "resubscribe")
        if now - state.asked_anew_at < then:
            return None
        state.asked_anew_at = now
        return Stall(what, channel, silence, "reconnect")

"""Which faults hold now, for the exchange and for each of its connections.

Everything random here follows from the exchange's seed, the fault's number and the connection's,
so a scenario that is told in frames does the same in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Generic, TypeVar

from fluxforge.sim.faults.answers import LateAck, LimitLevel2, Refuse
from fluxforge.sim.faults.fault import ConnectionFault, Deed, Fault, FrameFault, Line, Way
from fluxforge.sim.faults.silence import IdleChannel

F = TypeVar("F", bound=Fault)
C = TypeVar("C", bound=ConnectionFault)


class Occasion(Generic[C]):
    """One fault on one connection: its turns, and how often it struck in this one."""

    def __init__(self, fault: C, *, begun: float, opened: float, rng: Random) -> None:
        self.fault = fault
        self.rng = rng
        self._opened = opened
        self._earliest = begun + fault.at
        if fault.after_seconds:
            self._earliest = max(self._earliest, opened + fault.after_seconds)
        self._origin: float | None = None
        self._turn = -1
        self._strikes = 0

    def turn(self, now: float, frames: int) -> int | None:
        """Return which turn it is on a connection that has so many frames, or None."""
        if self._origin is None:
            if now < self._earliest or frames < self.fault.after_frames:
                return None
            self._origin = now if self.fault.after_frames else self._earliest
        return self.fault.turn(now - self._origin)

    def falls_due(self, now: float, frames: int) -> bool:
        """Say, once in each turn, that a deed is to be done."""
        turn = self.turn(now, frames)
        if turn is None or turn == self._turn or self._origin is None:
            return False
        self._turn = turn
        # Who came later in the turn is not meant: a storm must let clients come back.
        return self._origin + turn * (self.fault.every or 0.0) >= self._opened

    def strikes(self, now: float, frames: int, *, share: float, most: int | None) -> bool:
        """Say whether it is this frame's bad luck; ask once per frame that it concerns."""
        turn = self.turn(now, frames)
        if turn is None:
            return False
        if turn != self._turn:
            self._turn, self._strikes = turn, 0
        return (most is None or self._strikes < most) and (share == 1 or self.rng.random() < share)

    def struck(self) -> None:
        """Count a frame that was hit."""
        self._strikes += 1


class Conduct:
    """How the venue treats one connection.

    Args:
        number: The connection's number in the journal.
        seed: The exchange's.
        clock: Seconds of a monotonic clock.

    Attributes:
        frames: Frames that were numbered so far.
    """

    def __init__(self, number: int, *, seed: int, clock: Callable[[], float]) -> None:
        self.number = number
        self.frames = 0
        self._seed = seed
        self._clock = clock
        self._opened = clock()
        self._occasions: dict[int, Occasion[ConnectionFault]] = {}

    def begin(self, which: int, fault: ConnectionFault, *, begun: float) -> None:
        """Let a fault hold from now on, if this connection is meant."""
        if fault.connections is None or self.number in fault.connections:
            rng = Random(f"{self._seed}/fault {which} on {self.number}")  # noqa: S311 (a simulation)
            self._occasions[which] = Occasion(fault, begun=begun, opened=self._opened, rng=rng)

    def end(self, which: int) -> None:
        """Let a fault hold no longer."""
        self._occasions.pop(which, None)

    def do_deeds(self, way: Way) -> None:
        """Do what is due: ask before each frame, and by the clock."""
        if not self._occasions:
            return
        now = self._clock()
        for occasion in list(self._occasions.values()):
            if isinstance(occasion.fault, Deed) and occasion.falls_due(now, self.frames):
                occasion.fault.do(way)

    def treat(self, text: str) -> list[Line]:
        """Return what becomes of a numbered frame, and count it."""
        lines: list[Line] = [text]
        if self._occasions:
            now = self._clock()
            for occasion in self._occasions.values():
                fault = occasion.fault
                if (
                    isinstance(fault, FrameFault)
                    and fault.concerns(text)
                    and occasion.strikes(now, self.frames, share=fault.share, most=fault.frames)
                ):
                    treated = _treat_each(fault, lines, occasion.rng)
                    if treated != lines:
                        occasion.struck()
                    lines = treated
        self.frames += 1
        return lines

    def late_ack(self) -> LateAck | None:
        """Return how an acknowledgement for what is asked now is delayed."""
        return next(self._holding(LateAck), None)

    def refusal(self, channel: str, name: str) -> Refuse | None:
        """Return how asking for a product on a channel is refused."""
        return next((f for f in self._holding(Refuse) if f.concerns(channel, name)), None)

    def level2_limit(self) -> int | None:
        """Return how many level2 products are allowed, if not as the rules say."""
        return min((fault.products for fault in self._holding(LimitLevel2)), default=None)

    def idle(self) -> tuple[IdleChannel, ...]:
        """Return what is silent now."""
        return tuple(self._holding(IdleChannel))

    def _holding(self, kind: type[C]) -> Iterator[C]:
        if not self._occasions:
            return
        now = self._clock()
        for occasion in self._occasions.values():
            if isinstance(occasion.fault, kind) and occasion.turn(now, self.frames) is not None:
                yield occasion.fault


def _treat_each(fault: FrameFault, lines: list[Line], rng: Random) -> list[Line]:
    """Treat what is still a frame; others' notes and what was withheld stay in their places."""
    return [
        treated
        for line in lines
        for treated in (fault.treat(line, rng) if isinstance(line, str) else (line,))
    ]


class Misconduct:
    """All faults of an exchange, by number; each connection's conduct follows from it.

    Args:
        seed: The exchange's.
        clock: Seconds of a monotonic clock.
    """

    def __init__(self, *, seed: int, clock: Callable[[], float]) -> None:
        self._seed = seed
        self._clock = clock
        self._faults: dict[int, tuple[Fault, float]] = {}
        self._conducts: dict[int, Conduct] = {}
        self._last = 0

    @property
    def faults(self) -> dict[int, Fault]:
        """What was begun and not ended, by number; also what has had all its turns."""
        return {which: fault for which, (fault, _) in self._faults.items()}

    def begin(self, fault: Fault) -> int:
        """Let a fault's time begin now; return its number."""
        self._last += 1
        begun = self._clock()
        self._faults[self._last] = (fault, begun)
        if isinstance(fault, ConnectionFault):
            for conduct in self._conducts.values():
                conduct.begin(self._last, fault, begun=begun)
        return self._last

    def end(self, which: int) -> bool:
        """Let a fault hold no longer; say whether there was one of this number."""
        for conduct in self._conducts.values():
            conduct.end(which)
        return self._faults.pop(which, None) is not None

    def towards(self, number: int) -> Conduct:
        """Return the conduct towards a new connection."""
        conduct = Conduct(number, seed=self._seed, clock=self._clock)
        for which, (fault, begun) in self._faults.items():
            if isinstance(fault, ConnectionFault):
                conduct.begin(which, fault, begun=begun)
        self._conducts[number] = conduct
        return conduct

    def forget(self, number: int) -> None:
        """A connection is gone."""
        self._conducts.pop(number, None)

    def holding(self, kind: type[F]) -> F | None:
        """Return the exchange-wide fault of a kind that holds now; of several, the last begun."""
        now = self._clock()
        for fault, begun in reversed(self._faults.values()):
            if isinstance(fault, kind) and fault.turn(now - begun - fault.at) is not None:
                return fault
        return None

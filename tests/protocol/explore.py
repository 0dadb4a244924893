"""Every schedule of some workers, with the end of any of them and of all at every step.

Depth first over states; a state that was seen is not entered again. A worker that freezes is one
that is not scheduled for long, and one that died is, to the others, one that never is again: each
state is checked as if all died there, so freezes and deaths need no steps of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from protocol.disk_model import Disk, Verb
from protocol.replay import Moment, Program


class BrokenError(AssertionError):
    """A promise does not hold; the message has the schedule that broke it."""


class Actor(NamedTuple):
    """Where one worker is."""

    moment: Moment
    then: str | None = None  # a change of its own that is not durable yet
    answer: object = None  # to be told once it is
    claimed_late: bool = False  # whether the segment was committed before it claimed it


class Event(NamedTuple):
    """A step that was taken, for the trace and the checks."""

    who: str
    what: str
    verb: Verb | None = None
    actor: Actor | None = None


class Way(NamedTuple):
    """One way on of one worker; it depends on nothing but the disk and the worker."""

    event: Event
    disk: Disk
    actor: Actor


class State(NamedTuple):
    disk: Disk
    actors: tuple[Actor, ...]


class Explorer:
    """Goes through all that may happen.

    Args:
        programs: The workers.
        recovery: What runs when all of them have ended or died; alone, with all others gone.
        check_step: Says what is wrong about a step from one disk to another, or None.
        check_disk: Says what is wrong with a disk at any time, or None.
        check_end: Says what is wrong with a disk after recovery, or None.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        recovery: Program,
        check_step: Callable[[Disk, Event, Disk], str | None],
        check_disk: Callable[[Disk], str | None],
        check_end: Callable[[Disk], str | None],
    ) -> None:
        self._programs = programs
        self._recovery = recovery
        self._check_step = check_step
        self._check_disk = check_disk
        self._check_end = check_end
        self._ways: dict[tuple[int, Disk, Actor], list[Way]] = {}
        self._right: set[Disk] = set()
        self._recovered: set[Disk] = set()
        self._path: list[tuple[Iterator[tuple[Event, State]], Event | None]] = []
        self.states = 0
        self.steps = 0

    def explore(self, disk: Disk) -> None:
        """Raise BrokenError with a schedule if any promise can be broken from here."""
        first = State(disk, tuple(Actor(program.start) for program in self._programs))
        seen = {first}
        self._path = [(self._unseen(first, seen), None)]
        while self._path:
            if (way := next(self._path[-1][0], None)) is None:
                self._path.pop()
            else:
                event, following = way
                self._path.append((self._unseen(following, seen), event))
        self.states = len(seen)

    def _unseen(self, state: State, seen: set[State]) -> Iterator[tuple[Event, State]]:
        """The ways on from a state that lead where nobody has been."""
        disk, actors = state
        for number, actor in enumerate(actors):
            key = number, disk, actor
            ways = self._ways.get(key)
            if ways is None:
                ways = self._ways[key] = self._checked(number, disk, actor)
            before, behind = actors[:number], actors[number + 1 :]
            for event, after, moved in ways:
                self.steps += 1
                following = State(after, (*before, moved, *behind))
                if following not in seen:
                    seen.add(following)
                    yield event, following

    def _checked(self, number: int, disk: Disk, actor: Actor) -> list[Way]:
        ways = list(_ways(self._programs[number], actor, disk))
        for way in ways:
            wrong = self._check_step(disk, way.event, way.disk) or self._wrong_disk(way.disk)
            if wrong:
                events = [event for _, event in self._path if event is not None]
                schedule = "\n".join(f"  {e.who}: {e.what}" for e in [*events, way.event])
                raise BrokenError(f"{wrong}\nafter:\n{schedule}")
        return ways

    def _wrong_disk(self, disk: Disk) -> str | None:
        if disk in self._right:
            return None
        self._right.add(disk)
        return self._check_disk(disk) or self._wrong_after_all_die(disk)

    def _wrong_after_all_die(self, disk: Disk) -> str | None:
        """All processes die here, or the power goes; then someone starts the ETL again."""
        for survived in (disk, *disk.power_cuts()):
            if survived in self._recovered:
                continue
            self._recovered.add(survived)
            end, trace = self._run_alone(survived)
            if wrong := self._check_end(end):
                return f"{wrong}, once all had died and the ETL ran again:\n{trace}"
        return None

    def _run_alone(self, disk: Disk) -> tuple[Disk, str]:
        moment = self._recovery.start
        trace = []
        while moment.question is not None:
            *_, step = disk.steps(moment.question)  # the last: others are gone, litter is old
            disk = step.disk if step.then is None else step.disk.synced(step.then)
            trace.append(f"  {moment.question.name} {moment.question.key}")
            moment = self._recovery.after(moment, step.result)
        return disk, "\n".join(trace)


def _ways(program: Program, actor: Actor, disk: Disk) -> Iterator[Way]:
    moment = actor.moment
    if actor.then is not None:
        event = Event(program.name, f"sync {actor.then}")
        after = Actor(program.after(moment, actor.answer), claimed_late=actor.claimed_late)
        yield Way(event, disk.synced(actor.then), after)
        return
    verb = moment.question
    if verb is None:
        return  # it has ended
    late = actor.claimed_late or (_is_claim(verb) and _has_commit(disk))
    for step in disk.steps(verb):
        told = "" if step.result is None else f" -> {_short(step.result)}"
        event = Event(program.name, f"{verb.name} {verb.key}{told}", verb, actor)
        if step.then is not None:
            after = Actor(moment, step.then, step.result, claimed_late=late)
        else:
            after = Actor(program.after(moment, step.result), claimed_late=late)
        yield Way(event, step.disk, after)


def _is_claim(verb: Verb) -> bool:
    return verb.name == "create" and "/processing/" in verb.key


def _has_commit(disk: Disk) -> bool:
    return any("/_commits/" in key and key.endswith(".json") for key in disk.visible)


def _short(result: object) -> str:
    text = repr(result)
    return text if len(text) < 60 else f"{text[:60]}…"

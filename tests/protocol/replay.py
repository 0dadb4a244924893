"""Real workers, one step at a time, without threads: by running them again.

A worker is a function of what its storage answers. So to see what it asks after n answers, it is
run from its start with those n, and stopped at its next question. Answers that were given once are
looked up, so each history is run once, however many schedules lead there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fluxforge.errors import ObjectNotFoundError
from fluxforge.etl.worker import Worker
from fluxforge.storage.base import StorageBackend
from protocol.disk_model import MISSING, Verb


class Stopped(BaseException):
    """Ends a run at its next question; no worker catches this."""


class ReplayStorage(StorageBackend):
    """Gives recorded answers, then stops whoever asks on."""

    def __init__(self, answers: tuple[Any, ...]) -> None:
        self._answers = answers
        self._given = 0
        self.question: Verb | None = None

    def ask(self, name: str, key: str, **arguments: Any) -> Any:
        if self.question is not None:
            raise Stopped  # cleaning up after having been stopped
        if self._given == len(self._answers):
            self.question = Verb(name, key, **arguments)
            raise Stopped
        self._given += 1
        answer = self._answers[self._given - 1]
        if answer == MISSING:
            raise ObjectNotFoundError(key)
        return answer

    def write_bytes(self, data, path):
        self.ask("write", path, data=bytes(data))

    def create_new(self, data, path):
        return self.ask("create", path, data=bytes(data))

    def create_all(self, objects):
        return [self.create_new(data, key) for data, key in objects]

    def create_new_file(self, local_path, path):
        return self.ask("create", path, data=local_path.read_bytes())

    def write_file(self, local_path, path):
        self.ask("write", path, data=local_path.read_bytes())

    def read_bytes(self, path):
        return self.ask("read", path)

    def read_chunks(self, path, *_args, **_kwargs) -> Iterator[bytes]:
        yield self.ask("read", path)

    def exists(self, path):
        return self.ask("exists", path)

    def size(self, path):
        return self.ask("size", path)

    def age(self, path):
        return float("inf") if self.ask("old", path) else 0.0

    def list_files(self, path="", pattern="*", *, recursive=False):
        return list(self.ask("list", path, pattern=pattern, recursive=recursive))

    def delete(self, path):
        self.ask("delete", path)

    def sweep_unfinished(self, **_older_than):
        return 0

    def mkdir(self, path):
        pass

    def ensure_durable(self, path):
        self.ask("ensure_durable", path)

    def local_path(self, path) -> Path | None:
        return Path(path)

    def get_full_path(self, path):
        return path

    def get_storage_options(self, _library):
        return {}


@dataclass(frozen=True, slots=True)
class ModelWorker(Worker):
    """A worker who knows of others' ends what chance says: leases pass, the living freeze."""

    def sees_gone(self, *, host: str, pid: int, started: int) -> bool:
        del host, started
        return asking.storage.ask("gone", str(pid))


class asking:  # noqa: N801 - a place, not a type
    """Whom a worker asks that has no storage at hand; one run at a time."""

    storage: ReplayStorage


@dataclass(slots=True, eq=False)
class Moment:
    """A worker after so many answers: its next question, or None at its end."""

    answers: tuple[Any, ...]
    question: Verb | None
    asked: frozenset[Verb]
    later: dict[Any, Moment] = field(default_factory=dict)


class Program:
    """What one worker does, from its start to its end.

    Args:
        name: For the trace.
        run: Does it, with the given storage.
    """

    def __init__(self, name: str, run: Callable[[ReplayStorage], object]) -> None:
        self.name = name
        self._run = run
        self.runs = 0
        self.start = self._moment((), frozenset())

    def after(self, moment: Moment, answer: Any) -> Moment:
        """Return the worker's next moment, given an answer to its question."""
        if answer not in moment.later:
            asked = moment.asked
            if answer is True:  # what it was told about claims and ages, for the invariants
                asked |= {moment.question}
            moment.later[answer] = self._moment((*moment.answers, answer), asked)
        return moment.later[answer]

    def _moment(self, answers: tuple[Any, ...], asked: frozenset[Verb]) -> Moment:
        storage = asking.storage = ReplayStorage(answers)
        self.runs += 1
        with suppress(Stopped):
            self._run(storage)
        return Moment(answers, storage.question, asked)

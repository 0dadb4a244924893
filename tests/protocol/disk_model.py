"""A storage as the exhaustive model sees it: for each key what is visible, and what is durable.

A process that dies leaves both as they are. When the power goes, every key that differs keeps
either the one or the other, each by itself: directory entries are synced one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import Any, ClassVar, Self

MISSING = "missing"
"""The result of a verb that raises ObjectNotFoundError."""

# Claims and beats reach the disk at once here: nothing relies on them, and without this the model
# has many more states that differ in nothing that matters. A power cut takes all of them or none.
CLAIMS = "raw/processing/"


@dataclass(frozen=True, slots=True)
class Verb:
    """What a worker asks of the storage, or of chance, next."""

    name: str
    key: str
    data: bytes = b""
    pattern: str = "*"
    recursive: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One way on from a verb: the disk afterwards, and what the worker is told.

    A worker is told of a change once it is durable, which takes another step: `then` is its key.
    """

    disk: Disk
    result: Any = None
    then: str | None = None


class Disk:
    """An immutable state of the storage. Equal states are one object: they are looked up often."""

    __slots__ = ("durable", "visible")
    visible: dict[str, bytes]
    durable: dict[str, bytes]
    _all: ClassVar[dict[object, Disk]] = {}

    def __new__(cls, visible: dict[str, bytes], durable: dict[str, bytes]) -> Self:
        identity = frozenset(visible.items()), frozenset(durable.items())
        disk = cls._all.get(identity)
        if disk is None:
            disk = cls._all[identity] = super().__new__(cls)
            disk.visible, disk.durable = visible, durable
        return disk

    def steps(self, verb: Verb) -> Iterator[Step]:
        """Every way on from here by a verb: one, but for questions to chance."""
        there = verb.key in self.visible
        match verb.name:
            case "gone" | "old" | "survives":
                yield from (Step(self, answer) for answer in (False, True))
            case "exists":
                yield Step(self, there)
            case "list":
                yield Step(self, tuple(self._list(verb)))
            case "create":
                yield (
                    self._changed(verb.key, verb.data, answer=True)
                    if not there
                    else Step(self, result=False)
                )
            case "write":
                yield self._changed(verb.key, verb.data)
            case "delete":
                yield self._changed(verb.key, None) if there else Step(self)
            case _:
                yield self._asked_of_an_object(verb) if there else Step(self, MISSING)

    def _asked_of_an_object(self, verb: Verb) -> Step:
        match verb.name:
            case "ensure_durable":
                return Step(self.synced(verb.key))
            case "read":
                return Step(self, self.visible[verb.key])
            case "size":
                return Step(self, len(self.visible[verb.key]))
        raise AssertionError(f"the model knows no {verb}")

    def synced(self, key: str) -> Disk:
        """What is visible at a key is durable from now on."""
        if self.visible.get(key) == self.durable.get(key):
            return self
        return Disk(self.visible, _with(self.durable, key, self.visible.get(key)))

    def power_cuts(self) -> Iterator[Disk]:
        """Every state in which the power may come back."""
        pending = [
            key
            for key in self.visible.keys() | self.durable.keys()
            if self.visible.get(key) != self.durable.get(key)
        ]
        for kept in product((False, True), repeat=len(pending)):
            survived = dict(self.durable)
            for key, keeps in zip(pending, kept, strict=True):
                if keeps:
                    survived = _with(survived, key, self.visible.get(key))
            yield Disk(survived, survived)
            without = {k: v for k, v in survived.items() if not k.startswith(CLAIMS)}
            if len(without) < len(survived):
                yield Disk(without, without)

    def _changed(self, key: str, data: bytes | None, *, answer: object = None) -> Step:
        visible = _with(self.visible, key, data)
        if key.startswith(CLAIMS):
            return Step(Disk(visible, _with(self.durable, key, data)), answer)
        return Step(Disk(visible, self.durable), answer, then=key)

    def _list(self, verb: Verb) -> Iterator[str]:
        below = f"{verb.key}/" if verb.key else ""
        for key in sorted(self.visible):
            rest = key.removeprefix(below)
            if (
                key.startswith(below)
                and (verb.recursive or "/" not in rest)
                and fnmatchcase(rest.rpartition("/")[2], verb.pattern)
            ):
                yield key


def _with(entries: dict[str, bytes], key: str, data: bytes | None) -> dict[str, bytes]:
    if data is not None:
        return {**entries, key: data}
    return {each: value for each, value in entries.items() if each != key}

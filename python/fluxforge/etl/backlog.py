"""What is ready: one look at the storage for many segments, as listing costs the most on S3."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from fluxforge._native import Xxh3
from fluxforge.errors import SegmentFormatError
from fluxforge.segment import SUFFIX, read_header
from fluxforge.storage.base import StorageBackend

_PLAIN = "plain_"  # labels of files that have no header to give them one


def is_plain(segment: str) -> bool:
    """Whether a label was made from a content's hash, as the file has no header."""
    return segment.startswith(_PLAIN)


class Backlog:
    """The ready segments of one source, as one worker goes through them.

    Args:
        storage: Where they lie.
        path: Key of their directory, as ``raw/ready/coinbase``.
        look: Called after each listing, to look at what goes with it: the claims.
        fresh_seconds: A look that is older than this is taken again before going on.
        monotonic: Clock in seconds.
        chance: Where a worker goes that finds another one ahead of it.
    """

    def __init__(
        self,
        storage: StorageBackend,
        *,
        path: str,
        look: Callable[[], object],
        fresh_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self._storage = storage
        self._path = path
        self._look = look
        self._fresh_seconds = fresh_seconds
        self._monotonic = monotonic
        self._chance = chance or random.Random()  # noqa: S311 - it spreads work, it keeps no secret
        self._identities: dict[str, tuple[str, str]] = {}
        self._kept: dict[str, int | None] = {}
        self._pending: list[str] = []
        self._labels: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        """Yield each segment's key that is ready now, once, unless it is gone by its turn."""
        self._pending = self._list()[::-1]
        looked = self._look_at_claims()
        while self._pending:
            yield self._pending.pop()
            if self._pending and self._monotonic() - looked >= self._fresh_seconds:
                still_there = set(self._list())
                self._pending = [key for key in self._pending if key in still_there]
                looked = self._look_at_claims()

    def scatter(self) -> None:
        """Go on somewhere else: another worker goes the same way, one step ahead."""
        self._chance.shuffle(self._pending)

    def holds(self, segment: str) -> bool:
        """Whether the last look saw a file of that name."""
        return segment in self._labels

    def keep(self, key: str, size: int | None) -> None:
        """Never yield a key again: it is committed, and its raw stays.

        Args:
            key: The segment's.
            size: Its bytes if another file may come under its name; None if its name is its own.
        """
        self._kept[key] = size

    def identify(self, key: str) -> tuple[str, str]:
        """Return the segment's label and identity: line 1's, or both from the content's hash.

        Whatever a file is called, one content is committed once.

        Raises:
            SegmentFormatError: A newer FluxForge wrote it.
        """
        if key in self._identities:
            return self._identities[key]
        chunks = self._storage.read_chunks(key)
        first = next(chunks, b"")
        try:
            header = read_header(first.partition(b"\n")[0])
        except SegmentFormatError as error:
            raise SegmentFormatError(f"{key}: {error}") from error
        if header is not None:
            identity = header.name.removesuffix(SUFFIX), header.uid
            self._identities[key] = identity  # a plain file's may change while it is copied
            return identity
        digest = Xxh3()
        digest.update(first)
        for chunk in chunks:
            digest.update(chunk)
        uid = digest.hexdigest()
        return f"{_PLAIN}{uid}", uid

    def _list(self) -> list[str]:
        listed = self._storage.list_files(self._path, f"*{SUFFIX}")
        self._identities = {k: self._identities[k] for k in self._identities.keys() & listed}
        self._kept = {k: self._kept[k] for k in self._kept.keys() & listed}
        self._labels = {k.rpartition("/")[2].removesuffix(SUFFIX) for k in listed}
        return [key for key in listed if not self._is_kept(key)]

    def _look_at_claims(self) -> float:
        if self._pending:
            self._look()
        return self._monotonic()

    def _is_kept(self, key: str) -> bool:
        if key not in self._kept:
            return False
        size = self._kept[key]
        return size is None or size == self._storage.size(key)

"""The spool: a writer's segments on this machine's disk, on their way to the storage.

What was begun in pieces must be finished in pieces, also by the next process: a mark beside the
segments says so, durable before the first piece is sent.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fluxforge.errors import ObjectNotFoundError, StorageError
from fluxforge.ingestion.shipping.pieces import Identity
from fluxforge.segment import SUFFIX, SegmentName, read_header
from fluxforge.storage import LocalStorage

_MARK = ".shipping_"
_LONGEST_LINE = 16 << 20
_CHECKPOINT = b'\n{"checkpoint":{'


@dataclass(frozen=True, slots=True)
class Spooled:
    """A sealed segment that waits."""

    path: Path
    bytes: int
    modified: float


class Spool:
    """One writer's directories.

    Args:
        active: Where segments grow.
        ready: Where sealed ones wait.
        writer_id: Which of several writers of these directories this is.
    """

    def __init__(self, *, active: Path, ready: Path, writer_id: str | None) -> None:
        self._active = active
        self.ready = ready
        self._writer_id = writer_id or ""
        self._disk = LocalStorage(ready)

    def sealed(self) -> list[Spooled]:
        """The sealed segments, oldest first."""
        found = []
        for path in sorted(self.ready.glob(f"*{SUFFIX}")):
            with suppress(FileNotFoundError):  # shipped since
                status = path.stat()
                found.append(Spooled(path, status.st_size, status.st_mtime))
        return found

    def growing(self) -> list[str]:
        """The names of this writer's segments that are not sealed, or not handed over yet."""
        names = (path.name for path in self._active.glob(f"*{SUFFIX}"))
        return sorted(name for name in names if self._is_own(name))

    def find(self, name: str) -> Path | None:
        """Where a segment lies: in one directory, on its way to the other in both."""
        candidates = (self._active / name, self.ready / name)
        return next((path for path in candidates if path.exists()), None)

    def holds_older(self, name: str) -> bool:
        """Whether anything of this writer is here that it recorded before a segment of its own.

        The rest of a segment that another machine closed bears that one's number.
        """
        if (current := SegmentName.parse(name)) is None:
            return False
        here = {*self.growing(), *(segment.path.name for segment in self.sealed())}
        return any(
            (other.hour, other.counter) <= (current.hour, current.counter)
            and other.writer_id.startswith(self._writer_id)
            for other in map(SegmentName.parse, here - {name})
            if other is not None
        )

    def _is_own(self, name: str) -> bool:
        parsed = SegmentName.parse(name)
        return parsed is not None and parsed.writer_id == self._writer_id

    # -- what travels in pieces ---------------------------------------------------------------

    def mark(self, of: Identity) -> None:
        """Write down that a segment travels in pieces; durable on return."""
        self._disk.write_bytes(of.uid.encode(), _MARK + of.segment)

    def holds(self, of: Identity) -> bool:
        """Whether a segment that travels in pieces lies here."""
        return self.is_marked(of) and self.find(of.segment + SUFFIX) is not None

    def is_marked(self, of: Identity) -> bool:
        """Whether a segment that lies here, or did, travels in pieces."""
        try:
            return self._disk.read_bytes(_MARK + of.segment).decode() == of.uid
        except ObjectNotFoundError:
            return False

    def remove(self, path: Path) -> None:
        """Remove a sealed segment that is elsewhere; durable on return."""
        self._disk.delete(path.name)

    def forget(self, of: Identity) -> None:
        """Remove a segment's mark."""
        self._disk.delete(_MARK + of.segment)


def identify(path: Path) -> Identity:
    """Read which segment a file is.

    Raises:
        StorageError: It begins with no header.
    """
    try:
        with path.open("rb") as file:
            header = read_header(file.readline(_LONGEST_LINE))
    except OSError as error:
        raise StorageError(f"could not read {path}: {error.strerror}") from error
    if header is None:
        raise StorageError(f"{path} has no readable first line, so it is no segment: look into it")
    return Identity(segment=path.name.removesuffix(SUFFIX), uid=header.uid)


def read_groups(path: Path, start: int, stop: int, *, limit: int) -> bytes:
    """Read whole groups from one checkpoint's end on.

    Args:
        path: The segment.
        start: Where a checkpoint ends, or 0.
        stop: Where another one ends, or the file.
        limit: The most bytes, unless a single group is larger.
    """
    size = min(limit, stop - start)
    with path.open("rb") as file:
        while True:
            data = os.pread(file.fileno(), size, start)
            if len(data) < size:
                raise StorageError(f"{path} is shorter than it was: {start + len(data)} bytes")
            if start + size == stop:
                return data
            if end := _end_of_last_checkpoint(data):
                return data[:end]
            size = min(size * 2, stop - start)


def _end_of_last_checkpoint(data: bytes) -> int:
    """Where the last whole one ends, 0 if none does; no frame can make one up."""
    begin = len(data)
    while (begin := data.rfind(_CHECKPOINT, 0, begin)) >= 0:
        if end := data.find(b"\n", begin + 1) + 1:
            return end
    return 0

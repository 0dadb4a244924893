"""The pieces of a segment: what of it lies in the storage before it is whole.

    raw/active/coinbase/{segment}.{uid}.{offset}     a run of whole groups, created once
    raw/active/coinbase/{segment}.{uid}.published    the whole segment has been in ready/

A segment is the concatenation of its pieces; the one that ends with the seal closes it. Whoever
creates the object at an offset decides what the segment is from there on: that is all the
protocol there is between a writer and whoever thinks it dead (docs/design, "shipping").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fluxforge.errors import ObjectNotFoundError, StorageError
from fluxforge.storage.base import StorageBackend

KEPT = 2
"""So many of a published segment's last pieces stay until its writer's own file is gone.

A writer that was taken for dead goes on at the offset after its last piece, or at that piece if
its answer was lost. It has to find something at either, however late it wakes.
"""

_DIGITS = 12  # so that a listing sorts; a segment is smaller than a terabyte
_PUBLISHED = "published"
_NAME = re.compile(rf"(segment_[^./]+)\.([0-9a-f]{{32}})\.(\d{{{_DIGITS}}}|{_PUBLISHED})")
_SEAL = b'{"seal":{'


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Identity:
    """Which segment: its label, and the uid that stands in its first line."""

    segment: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """What a listing shows of one segment.

    Attributes:
        of: The segment.
        offsets: Where its pieces begin, ascending.
        published: Whether it has been in ready/ as a whole.
    """

    of: Identity
    offsets: tuple[int, ...]
    published: bool


class PieceStore:
    """The pieces of one source's segments.

    Args:
        storage: Where they lie.
        path: Key of their directory, as ``raw/active/coinbase``.

    Attributes:
        created: How many pieces were created through this object.
    """

    def __init__(self, storage: StorageBackend, *, path: str) -> None:
        self._storage = storage
        self._path = path
        self.created = 0

    def list(self, of: Identity | None = None) -> list[Pieces]:
        """Return what lies there of each segment, or of one, in the order of their names."""
        pattern = "*" if of is None else f"{of.segment}.{of.uid}.*"
        offsets: dict[Identity, list[int]] = {}
        published = set()
        for key in self._storage.list_files(self._path, pattern):
            if (match := _NAME.fullmatch(key.rpartition("/")[2])) is None:
                continue
            identity = Identity(segment=match[1], uid=match[2])
            own = offsets.setdefault(identity, [])
            if match[3] == _PUBLISHED:
                published.add(identity)
            else:
                own.append(int(match[3]))
        return [
            Pieces(of=identity, offsets=tuple(sorted(own)), published=identity in published)
            for identity, own in sorted(offsets.items())
        ]

    def create(self, of: Identity, offset: int, data: bytes) -> bool:
        """Create a piece; durable and compared on return.

        Returns:
            False if something lies there already: ``read`` says what.

        Raises:
            StorageError: Also where it arrived as something else; it has been deleted.
        """
        key = self._key(of, offset)
        if not self._storage.create_new(data, key):
            return False
        self.created += 1
        try:
            if self._storage.holds(data, key):
                return True
        except ObjectNotFoundError:
            return True  # others have published the segment since, and dropped it
        self._storage.delete(key)
        raise StorageError(
            f"{self._storage.get_full_path(key)} did not arrive as it was sent, and was deleted; "
            "it goes up again."
        )

    def read(self, of: Identity, offset: int) -> bytes:
        """Return a piece, made durable first. Raises ObjectNotFoundError."""
        key = self._key(of, offset)
        self._storage.ensure_durable(key)
        return self._storage.read_bytes(key)

    def read_all(self, pieces: Pieces) -> Iterator[bytes]:
        """Yield a segment's pieces.

        Raises:
            StorageError: One is missing: somebody has published and dropped them meanwhile.
        """
        expected = 0
        for offset in pieces.offsets:
            if offset != expected:
                raise StorageError(
                    f"{self._storage.get_full_path(self._key(pieces.of, expected))} is missing, "
                    f"and the next piece begins at {offset}"
                )
            data = self.read(pieces.of, offset)
            expected += len(data)
            yield data

    def mark_published(self, of: Identity) -> None:
        """Say that the whole segment is in ready/, or was: its pieces may go."""
        key = self._key(of, _PUBLISHED)
        if not self._storage.create_new(b"", key):
            self._storage.ensure_durable(key)

    def drop(self, pieces: Pieces, *, keep: int = KEPT) -> None:
        """Drop the pieces of a published segment but its last.

        With ``keep`` 0 nothing of it stays: only for the writer whose own file is gone.
        """
        count = max(len(pieces.offsets) - keep, 0)
        for offset in pieces.offsets[:count]:
            self._storage.delete(self._key(pieces.of, offset))
        if keep == 0:
            self._storage.delete(self._key(pieces.of, _PUBLISHED))

    def _key(self, of: Identity, what: int | str) -> str:
        last = f"{what:0{_DIGITS}}" if isinstance(what, int) else what
        return self._storage.join_path(self._path, f"{of.segment}.{of.uid}.{last}")


def closes(piece: bytes) -> bool:
    """Whether a piece closes its segment: its last line is a seal."""
    begin = piece.rfind(b"\n", 0, -1) + 1
    return piece.startswith(_SEAL, begin) and piece.endswith(b"\n")

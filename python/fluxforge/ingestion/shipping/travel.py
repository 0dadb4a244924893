"""One of this machine's segments on its way in pieces.

Each piece is created where the one before it ends. Where something lies already there are two
cases, told apart by its bytes: they are the file's own, sent by an earlier life or by a request
whose answer was lost, and the segment goes on after them; or another machine, which took this one
for dead, has closed the segment there.
"""

from __future__ import annotations

from pathlib import Path

from fluxforge.errors import ObjectNotFoundError, StorageError
from fluxforge.ingestion.shipping.pieces import Identity, PieceStore
from fluxforge.ingestion.shipping.spool import read_groups


class Travel:
    """How much of a segment has arrived.

    Args:
        store: Where its pieces go.
        of: The segment.
        piece_bytes: The most that one piece holds, unless a single group is larger.

    Attributes:
        offset: All bytes before this one have arrived.
        closed: Whether another machine has closed the segment at ``offset``.
    """

    def __init__(self, store: PieceStore, of: Identity, *, piece_bytes: int) -> None:
        self._store = store
        self.of = of
        self._piece_bytes = piece_bytes
        self.offset = 0
        self.closed = False

    def resume(self, path: Path) -> None:
        """Find out how far an earlier life has come.

        The last piece decides. Others lie before it only if it was created when they were there,
        or they came too late to mean anything.
        """
        for pieces in self._store.list(self.of):
            if pieces.offsets:
                self._pass(path, pieces.offsets[-1])

    def ship(self, path: Path, stop: int) -> None:
        """Bring everything up to ``stop`` there, which is a checkpoint's end or the file's.

        Returns early where the segment turns out to be ``closed``.

        Raises:
            StorageError: What has not arrived is tried again by the next call.
        """
        while self.offset < stop and not self.closed:
            data = read_groups(path, self.offset, stop, limit=self._piece_bytes)
            if self._store.create(self.of, self.offset, data):
                self.offset += len(data)
            else:
                self._pass(path, self.offset)

    def _pass(self, path: Path, offset: int) -> None:
        """Go on after the piece that lies at an offset, if it is the file's own."""
        try:
            there = self._store.read(self.of, offset)
        except ObjectNotFoundError as error:
            raise StorageError(
                f"a piece of {self.of.segment} at {offset} was there and is gone; tried again"
            ) from error
        with path.open("rb") as file:
            file.seek(offset)
            is_own = file.read(len(there)) == there
        self.closed = not is_own
        self.offset = offset + len(there) if is_own else offset

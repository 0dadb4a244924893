"""What becomes of each segment in the spool, until its bytes are in the storage and it is removed.

| the segment | what happens |
|---|---|
| growing, due | the durable bytes since the last time go up as pieces |
| sealed, never in pieces | goes to ready/ whole, is compared, is removed |
| sealed, in pieces | its last piece, with the seal, closes it; then the same; then its pieces go |
| closed by another machine | is sealed; what follows becomes another, which `continues` it |

After a crash between any two steps the next process goes on: a mark in the spool says that a
segment travels in pieces, and the storage says how far it came. A segment is not removed from the
spool before all of it is elsewhere, and its last pieces not before that: as long as the file is
there, they tell its writer where it ends.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path

from fluxforge._native import segment_remainder
from fluxforge.errors import FluxForgeError, SegmentError, StorageError
from fluxforge.ingestion.shipping.pieces import PieceStore
from fluxforge.ingestion.shipping.publishing import Publisher
from fluxforge.ingestion.shipping.spool import Spool, identify
from fluxforge.ingestion.shipping.travel import Travel
from fluxforge.ingestion.writers import LogWriter

log = logging.getLogger(__name__)


class Carrier:
    """Carries one writer's segments, each as far as it can go.

    Args:
        spool: Where they lie.
        writer: Who writes them.
        store: Where pieces go.
        publisher: Where whole segments go.
        piece_bytes: The most that one piece holds, unless a single group is larger.
        in_pieces: Whether segments begin to travel before they are sealed. One that has begun is
            finished in pieces in any case.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        writer: LogWriter,
        store: PieceStore,
        publisher: Publisher,
        piece_bytes: int,
        in_pieces: bool,
    ) -> None:
        self._spool = spool
        self._writer = writer
        self._store = store
        self._publisher = publisher
        self._piece_bytes = piece_bytes
        self._in_pieces = in_pieces
        self._travels: dict[str, Travel] = {}
        self._rotations: dict[str, threading.Thread] = {}
        self.shipped = 0
        self.taken_over = 0

    @property
    def is_rotating(self) -> bool:
        """Whether a segment that another machine closed is to be sealed here."""
        return bool(self._rotations)

    def arrived(self, name: str) -> int:
        """How many bytes of a segment are known to be in the storage."""
        travel = self._travels.get(name)
        return 0 if travel is None else travel.offset

    def carry_growing(self, name: str, length: int) -> bool:
        """Bring a growing segment's durable bytes up to a length there; return whether they are."""
        path = self._spool.find(name)
        if path is None:
            return True  # sealed, shipped and removed meanwhile
        travel = self._travels.get(name) or self._begin(path)
        travel.ship(path, length)
        if travel.closed:
            self._rotate(name)
        return not travel.closed

    def carry_sealed(self, path: Path) -> None:
        """Bring a sealed segment there and remove it here, unless it has to wait for the next."""
        if self._in_pieces and not self._next_has_begun(path.name):
            return
        of = identify(path)
        if not self._spool.is_marked(of):
            self._publisher.publish(path, of)
            self._spool.remove(path)
            self._done(path, "shipped %s")
            return
        travel = self._travels.get(path.name) or self._begin(path)
        travel.ship(path, path.stat().st_size)
        if travel.closed:
            self._go_on_elsewhere(path, travel)
        else:
            self._publisher.publish(path, of)
            self._store.mark_published(of)
            self._spool.remove(path)
            for pieces in self._store.list(of):
                self._store.drop(pieces, keep=0)
            self._done(path, "shipped %s")
        self._spool.forget(of)

    def _begin(self, path: Path) -> Travel:
        """Go on with a segment where an earlier life left it, or begin."""
        of = identify(path)
        travel = Travel(self._store, of, piece_bytes=self._piece_bytes)
        if self._spool.is_marked(of):
            travel.resume(path)
        else:
            self._spool.mark(of)
        self._travels[path.name] = travel
        return travel

    def _next_has_begun(self, name: str) -> bool:
        """Whether nothing is lost of what a segment's successor says of it.

        The successor's first line names the connections that go on in it. Were this machine lost
        between the two, nobody would know that they ended.
        """
        mark = self._writer.durable_mark()
        later = [other for other in self._spool.growing() if other > name]
        if not later:
            return True
        if later[-1] != mark.segment:
            return False  # it holds nothing yet, or is not handed over yet
        if self.arrived(mark.segment) == 0:
            self.carry_growing(mark.segment, mark.bytes)
        return True

    def _go_on_elsewhere(self, path: Path, travel: Travel) -> None:
        try:
            rest = segment_remainder(str(path), travel.offset, str(self._spool.ready))
        except SegmentError as error:
            raise StorageError(
                f"{path} was closed at {travel.offset} by another machine, and what follows cannot "
                f"be told from it: {error}"
            ) from error
        # From here on the rest is a segment like any other: made again it is the same.
        self._spool.remove(path)
        self.taken_over += 1
        log.warning(
            "another machine took this writer for dead and closed %s at byte %d; %s",
            path.name,
            travel.offset,
            "nothing follows there" if rest is None else f"{rest.name} goes on from there",
        )
        self._forget(path.name)

    def _rotate(self, name: str) -> None:
        """Have a growing segment sealed; in a thread, for a held writer would wait for us."""
        before = self._rotations.get(name)
        if name not in self._spool.growing() or (before is not None and before.is_alive()):
            return
        if before is None:
            log.warning("another machine took this writer for dead and closed %s", name)

        def rotate() -> None:
            with suppress(FluxForgeError):  # a writer that stopped says so itself
                self._writer.rotate_sync()

        thread = threading.Thread(target=rotate, name="fluxforge-shipping-rotate", daemon=True)
        self._rotations[name] = thread
        thread.start()

    def _done(self, path: Path, said: str) -> None:
        self.shipped += 1
        self._forget(path.name)
        log.info(said, path.name)

    def _forget(self, name: str) -> None:
        self._travels.pop(name, None)
        self._rotations.pop(name, None)

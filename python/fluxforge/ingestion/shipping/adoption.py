"""Finishing what a dead writer began: closing its segment in the storage, and publishing it.

Anybody may do it, at any time, however many at once: of all who create a piece at the offset where
a segment ends, one wins, and from then on everybody makes the same bytes of it. The lease only
saves work. A writer that was not dead loses nothing: it goes on in another segment.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from fluxforge._native import Xxh3, recover_segment
from fluxforge.errors import FluxForgeError, StorageError
from fluxforge.ingestion.shipping.pieces import KEPT, Identity, Pieces, PieceStore, closes
from fluxforge.ingestion.shipping.publishing import Publisher
from fluxforge.segment import SUFFIX, SegmentName

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A segment that was finished for its writer.

    Attributes:
        of: The segment.
        adopted: Whether it was closed here; else its writer, or another machine, had done that.
        key: Where it was published.
    """

    of: Identity
    adopted: bool
    key: str


class Adopter:
    """Looks after writers whose segments do not grow any more.

    Args:
        store: The pieces.
        publisher: Where whole segments go.
        lease_seconds: A segment that has not changed for so long, by this machine's own clock, is
            taken over.
        is_own: Says whether this machine's own writer has a segment in hand.
        monotonic: Clock in seconds.
    """

    def __init__(
        self,
        store: PieceStore,
        publisher: Publisher,
        *,
        lease_seconds: float,
        is_own: Callable[[Identity], bool] = lambda _: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._lease_seconds = lease_seconds
        self._is_own = is_own
        self._monotonic = monotonic
        self._seen: dict[Identity, tuple[Pieces, float]] = {}
        self.failures: dict[Identity, FluxForgeError] = {}

    def look(self) -> list[Finished]:
        """Look once at all pieces, and finish each segment whose lease is over.

        What fails is told, is in ``failures`` and is tried again by the next look.

        Raises:
            StorageError: The pieces cannot be listed.
        """
        self.failures.clear()
        listed = {pieces.of: pieces for pieces in self._store.list()}
        now = self._monotonic()
        before = self._seen
        self._seen = {
            of: before[of] if of in before and before[of][0] == pieces else (pieces, now)
            for of, pieces in listed.items()
        }
        finished = []
        for of, (pieces, since) in self._seen.items():
            if now - since < self._lease_seconds or not needs_someone(pieces) or self._is_own(of):
                continue
            try:
                if done := self._finish(pieces, listed):
                    finished.append(done)
            except FluxForgeError as error:
                self.failures[of] = error
                log.warning("%s could not be finished for its writer: %s", of.segment, error)
        return finished

    def waiting(self) -> int:
        """How many segments the last look saw that are not finished and not this machine's."""
        return sum(
            needs_someone(each) and not self._is_own(of) for of, (each, _) in self._seen.items()
        )

    def _finish(self, pieces: Pieces, listed: dict[Identity, Pieces]) -> Finished | None:
        """Publish a segment, closing it first if need be; None if there was nothing to finish."""
        of = pieces.of
        if pieces.published:
            self._store.drop(pieces)  # whoever published it came no further
            return None
        with tempfile.TemporaryDirectory(prefix="fluxforge-adopting-") as directory:
            file = Path(directory, of.segment + SUFFIX)
            adopted = not self._assemble(pieces, file)
            if adopted:
                self._fetch_successor(pieces, listed, file.parent)
                closed = self._close(pieces, file)
                if closed is None:
                    return None
                pieces, file = closed
            key = self._publisher.publish(file, of)
        self._store.mark_published(of)
        self._store.drop(pieces)
        log.info("%s %s for its writer", "closed and published" if adopted else "published", key)
        return Finished(of=of, adopted=adopted, key=key)

    def _assemble(self, pieces: Pieces, file: Path) -> bool:
        """Bring a segment's pieces together; return whether they are closed."""
        digest, last = Xxh3(), b""
        with file.open("wb") as out:
            for piece in self._store.read_all(pieces):
                digest.update(last)
                out.write(piece)
                last = piece
        if not closes(last):
            return False
        begin = last.rfind(b"\n", 0, -1) + 1
        digest.update(last[:begin])
        if orjson.loads(last[begin:])["seal"]["xxh3"] != digest.hexdigest():
            raise StorageError(
                f"the pieces of {pieces.of.segment} (uid {pieces.of.uid}) are not what its seal "
                "speaks of; they stay where they are: look into them by hand"
            )
        return True

    def _fetch_successor(
        self, pieces: Pieces, listed: dict[Identity, Pieces], directory: Path
    ) -> None:
        """Fetch the beginning of the writer's next segment: it may name the connections."""
        own = SegmentName.parse(pieces.of.segment)
        for of, others in listed.items():
            name = SegmentName.parse(of.segment)
            is_next = (
                own is not None
                and name is not None
                and (name.writer_id, name.counter) == (own.writer_id, own.counter + 1)
                and name.hour >= own.hour
            )
            if is_next and others.offsets[:1] == (0,):
                Path(directory, of.segment + SUFFIX).write_bytes(self._store.read(of, 0))

    def _close(self, pieces: Pieces, file: Path) -> tuple[Pieces, Path] | None:
        """Create the piece that closes a segment; None if its writer lives or it holds nothing."""
        of, offset = pieces.of, file.stat().st_size
        into = file.parent / "closed"
        told = orjson.loads(recover_segment(str(file), str(into)))
        if told["outcome"] != "sealed" or told["damaged"] or told["cut_bytes"]:
            raise StorageError(
                f"the pieces of {of.segment} (uid {of.uid}) do not make a segment that can be "
                f"closed ({told['outcome']}; {told.get('detail', '')}); look into them by hand"
            )
        sealed = Path(told["path"])
        closing = _read_after(sealed, file)
        closed = Pieces(of=of, offsets=(*pieces.offsets, offset), published=False)
        if self._store.create(of, offset, closing):
            return closed, sealed
        there = self._store.read(of, offset)
        if not closes(there):
            return None  # it is alive
        # Another one was faster, and may have died since: what it made of it counts.
        with file.open("ab") as out:
            out.write(there)
        shutil.rmtree(into)
        return closed, file


def needs_someone(pieces: Pieces) -> bool:
    """Whether anything of a segment is left to do: there is its beginning, or more than is kept."""
    if pieces.published:
        return len(pieces.offsets) > KEPT
    return pieces.offsets[:1] == (0,)


def _read_after(longer: Path, shorter: Path) -> bytes:
    """Return what a file holds beyond the content of another, with which it begins."""
    with longer.open("rb") as all_of_it, shorter.open("rb") as beginning:
        while expected := beginning.read(1 << 20):
            if all_of_it.read(len(expected)) != expected:
                raise StorageError(f"{longer.name} cannot be closed without changing its pieces")
        return all_of_it.read()

"""Handing a whole segment over: from a local file to ready/, once and compared.

It may be done any number of times, by anyone who has the segment's bytes: the same bytes under the
same name count once, also where the ETL has committed and removed them in between, because its
commits know the segment's uid.
"""

from __future__ import annotations

import logging
from pathlib import Path

from fluxforge.errors import ObjectNotFoundError, StorageError
from fluxforge.ingestion.shipping.pieces import Identity
from fluxforge.segment import SUFFIX, SegmentName, read_header
from fluxforge.storage.base import StorageBackend

log = logging.getLogger(__name__)

_LONGEST_WRITER_ID = 63
_SHORT = 8  # digits of a uid that tell two segments of one name apart


class Publisher:
    """Puts whole segments into ready/.

    Args:
        storage: Where they go.
        path: Key of the directory, as ``raw/ready/coinbase``.
    """

    def __init__(self, storage: StorageBackend, *, path: str) -> None:
        self._storage = storage
        self._path = path

    def publish(self, file: Path, of: Identity) -> str:
        """Put a sealed segment there; it lies there, or has lain there, when this returns.

        Returns:
            Its key.

        Raises:
            StorageError: Also where something else lies under its name.
        """
        key = self._key(of.segment)
        if self._put(file, key):
            return key
        if (other := self._uid_at(key)) not in {None, of.uid}:
            # A machine that was replaced counts its segments from 1 again.
            apart = self._key(_apart(of))
            log.warning("%s is another segment (uid %s); this one becomes %s", key, other, apart)
            if self._put(file, apart):
                return apart
        raise StorageError(
            f"{self._storage.get_full_path(key)} exists with other bytes than {file}. If two "
            "writers use one ingestion.writer_id, give each its own; if an upload was damaged, "
            "delete it."
        )

    def _put(self, file: Path, key: str) -> bool:
        """Put it there; False if other bytes lie there already."""
        while True:
            created = self._storage.create_new_file(file, key)
            try:
                if self._storage.holds_file(file, key):
                    if not created:
                        self._storage.ensure_durable(key)
                    return True
            except ObjectNotFoundError:
                if created:
                    return True  # only the ETL removes it, once it is committed
                continue  # whoever had created it found it damaged, or the ETL was done with it
            if not created:
                return False
            self._storage.delete(key)
            raise StorageError(
                f"{self._storage.get_full_path(key)} did not arrive as {file} is, and was deleted; "
                "it goes up again."
            )

    def _uid_at(self, key: str) -> str | None:
        try:
            first = next(self._storage.read_chunks(key), b"")
        except StorageError:
            return None
        header = read_header(first.partition(b"\n")[0])
        return None if header is None else header.uid

    def _key(self, segment: str) -> str:
        return self._storage.join_path(self._path, segment + SUFFIX)


def _apart(of: Identity) -> str:
    """Still a segment's name, whose writer's id is the old one's with the uid's first digits."""
    short = of.uid[:_SHORT]
    name = SegmentName.parse(of.segment)
    if name is None:
        return f"{of.segment}_{short}"
    writer = name.writer_id[: _LONGEST_WRITER_ID - _SHORT - 1]
    writer_id = f"{writer}-{short}" if writer else short
    return str(SegmentName(hour=name.hour, counter=name.counter, writer_id=writer_id))

"""Segments that no worker survives are put aside, so that the others go on.

The order on disk: the segment's copy is durable → the reason is durable → raw is deleted → the
claims are deleted. After a crash at any point the next worker finds the claims of those that died
and does it again. A worker that only seemed dead may still commit the segment: then it is in the
lake, and its copy in quarantine is one too many, which harms nobody.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import orjson

from fluxforge.errors import LedgerError
from fluxforge.etl.digest import Digest
from fluxforge.segment import SUFFIX
from fluxforge.storage.base import StorageBackend

log = logging.getLogger(__name__)


class Quarantine:
    """Where one source's segments are kept that cannot be processed.

    Args:
        storage: Where the segments lie.
        path: Key of the directory, as ``raw/quarantine/coinbase``.
    """

    def __init__(self, storage: StorageBackend, *, path: str) -> None:
        self._storage = storage
        self._path = path

    def admit(self, key: str, *, segment: str, uid: str, crashes: int) -> str:
        """Move a segment here, with the reason beside it.

        Args:
            key: Where it lies.
            segment: Its label.
            uid: Its identity.
            crashes: How many workers died while they parsed it.

        Returns:
            Where it lies now.

        Raises:
            LedgerError: Something else lies there; the segment stays where it is.
            ObjectNotFoundError: Another worker was faster.
        """
        target = f"{self._path}/{segment}.{uid}{SUFFIX}"
        size, digest = self._copy(key, target)
        reason = {
            "reason": f"{crashes} workers died while they parsed it",
            "segment": segment,
            "uid": uid,
            "file": key.rpartition("/")[2],
            "bytes": size,
            "xxh3": digest,
        }
        beside = self._reason(segment, uid)
        if not self._storage.create_new(orjson.dumps(reason, option=orjson.OPT_INDENT_2), beside):
            self._storage.ensure_durable(beside)
        self._storage.delete(key)
        log.error(
            "%s went to quarantine: %d workers died while they parsed it. Its frames are in no "
            "table, nothing is lost: keep %s, see what kills its parser (memory, a bug: please "
            "report it) and move it back to ready/ to have it tried again",
            segment,
            crashes,
            self._storage.get_full_path(target),
        )
        return target

    def holds(self, segment: str, uid: str) -> bool:
        """Whether a segment was put here, with its reason."""
        return self._storage.exists(self._reason(segment, uid))

    def _reason(self, segment: str, uid: str) -> str:
        return f"{self._path}/{segment}.{uid}.reason.json"

    def _copy(self, key: str, target: str) -> tuple[int, str]:
        with tempfile.TemporaryDirectory(prefix="fluxforge-quarantine-") as directory:
            copy = Path(directory) / "segment.ndjson"
            digest = Digest(self._storage.read_chunks(key))
            with copy.open("wb") as file:
                for piece in digest:
                    file.write(piece)
            if self._storage.create_new_file(copy, target):
                return digest.bytes, digest.xxh3
        found = Digest(self._storage.read_chunks(target)).exhaust()
        if found != (digest.bytes, digest.xxh3):
            raise LedgerError(
                f"{target} exists already and holds something else than {key}, which stays where "
                "it is: compare the two and move one away."
            )
        self._storage.ensure_durable(target)
        return found

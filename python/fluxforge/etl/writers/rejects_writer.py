"""Writes what could not be turned into rows, with reason and place, beside the tables.

One object per segment, or some where there are more rejects than memory should hold. A name
carries the hash of its bytes: a name that is taken holds the same, by whoever came first.
"""

from __future__ import annotations

from fluxforge._native import Xxh3
from fluxforge.storage.base import StorageBackend


class RejectsWriter:
    """Keeps one segment's rejects.

    Args:
        storage: The output storage.
        output_path: Key of the source's directory in the lake, as ``processed/coinbase``.
        segment: The segment's label.
        uid: Its identity.

    Attributes:
        names: What was written, below ``output_path``, in the order of the segment.
    """

    def __init__(
        self, storage: StorageBackend, *, output_path: str, segment: str, uid: str
    ) -> None:
        self.names: list[str] = []
        self._storage = storage
        self._output_path = output_path
        self._prefix = f"_rejects/{segment}.{uid}"

    def write(self, lines: bytes) -> None:
        """Store a list of rejects durably; without lines there is nothing to store."""
        if not lines:
            return
        digest = Xxh3()
        digest.update(lines)
        name = f"{self._prefix}.{digest.hexdigest()}.ndjson"
        key = self._storage.join_path(self._output_path, name)
        if not self._storage.create_new(lines, key):
            self._storage.ensure_durable(key)
        self.names.append(name)

"""A storage that counts which verbs are asked of it."""

from __future__ import annotations

from collections import Counter

from fluxforge.storage import LocalStorage


class CountingStorage(LocalStorage):
    """A local storage; `counts` has the number of calls by verb."""

    def __init__(self, root) -> None:
        super().__init__(root)
        self.counts: Counter[str] = Counter()

    def list_files(self, path="", pattern="*", *, recursive=False):
        self.counts["list_files"] += 1
        return super().list_files(path, pattern, recursive=recursive)

    def read_bytes(self, path):
        self.counts["read_bytes"] += 1
        return super().read_bytes(path)

    def read_chunks(self, path, chunk_size=1 << 20):
        self.counts["read_chunks"] += 1
        return super().read_chunks(path, chunk_size)

    def exists(self, path):
        self.counts["exists"] += 1
        return super().exists(path)

    def size(self, path):
        self.counts["size"] += 1
        return super().size(path)

"""A storage that dies at a chosen write: before it happened, or after."""

from __future__ import annotations

from pathlib import Path

from fluxforge.storage import LocalStorage


class PowerCut(BaseException):
    """The process is gone; nothing catches this and tidies up."""


class CrashingStorage(LocalStorage):
    """A local storage whose nth change of anything is the last.

    Args:
        root: The directory.
        at: Number of the change to die at, from 0 on.
        after: Die after the change instead of before it.
    """

    def __init__(self, root: Path, *, at: int, after: bool) -> None:
        super().__init__(root)
        self._left = at
        self._after = after
        self.crashed_in: str | None = None

    def _change(self, name: str, change):
        if self.crashed_in is not None:
            raise PowerCut(f"already gone since {self.crashed_in}")
        if self._left > 0:
            self._left -= 1
            return change()
        self.crashed_in = name
        if self._after:
            change()
        raise PowerCut(name)

    def write_bytes(self, data, path):
        return self._change(f"write {path}", lambda: LocalStorage.write_bytes(self, data, path))

    def create_new(self, data, path):
        return self._change(f"create {path}", lambda: LocalStorage.create_new(self, data, path))

    def create_all(self, objects):
        return [self.create_new(data, path) for data, path in objects]

    def create_new_file(self, local_path, path):
        return self._change(
            f"create {path}", lambda: LocalStorage.create_new_file(self, local_path, path)
        )

    def delete(self, path):
        return self._change(f"delete {path}", lambda: LocalStorage.delete(self, path))

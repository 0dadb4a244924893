"""What FluxForge asks of a storage: a handful of verbs, the same on disk and on S3.

A *key* is a relative POSIX path below the backend's root (``raw/ready/coinbase/x.ndjson``). Keys
cannot leave the root. Every write is whole or absent: a reader never sees a part of an object.
``create_new`` is the one verb that carries concurrency: of any number of callers with the same
key, exactly one gets True. When a write returns, the object survives a power cut.

Every verb may raise InvalidKeyError (a key that is none; nothing was touched), StorageAccessError
(refused, unreachable or misconfigured: the user must act) and StorageError (it failed; what was
there before is still there).

To add a backend, implement this class, add one line to ``storage.factory`` and let the contract
suite in ``tests/storage`` tell when it is right.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from fluxforge.errors import ObjectDamagedError
from fluxforge.storage.keys import check_key
from fluxforge.storage.side_by_side import create_side_by_side

Library = Literal["polars", "pandas", "pyarrow", "duckdb"]
LIBRARIES: tuple[str, ...] = get_args(Library)


class StorageBackend(ABC):
    """One place where objects lie under keys. Safe to share between threads."""

    @abstractmethod
    def write_bytes(self, data: bytes | memoryview, path: str) -> None:
        """Write an object whole, replacing what lay there; durable on return."""

    @abstractmethod
    def create_new(self, data: bytes | memoryview, path: str) -> bool:
        """Write an object only if nothing lies at the key; durable on return.

        Returns:
            True for the one caller that created it; False if something lies there already. What
            lies there may not be durable yet: ``ensure_durable`` before relying on it.
        """

    def create_all(self, objects: Iterable[tuple[bytes | memoryview, str]]) -> list[bool]:
        """``create_new`` for many objects at once, each a content and its key.

        They share the wait for disk or network, and are stored while more of them are being made:
        objects are taken as they come, and few are held at a time. After an error some of them
        may be there.

        Returns:
            For each, in their order, what ``create_new`` would have returned.
        """
        checked = ((data, check_key(key)) for data, key in objects)
        return create_side_by_side(self.create_new, checked)

    @abstractmethod
    def create_new_file(self, local_path: Path, path: str) -> bool:
        """``create_new`` with the content of a local file, streamed."""

    @abstractmethod
    def write_file(self, local_path: Path, path: str) -> None:
        """``write_bytes`` with the content of a local file, streamed."""

    @abstractmethod
    def read_bytes(self, path: str) -> bytes:
        """Read an object whole. Raises ObjectNotFoundError."""

    @abstractmethod
    def read_chunks(
        self, path: str, chunk_size: int = 1 << 20, *, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        """Stream an object, in pieces of at most ``chunk_size`` bytes.

        Args:
            path: The object's key.
            chunk_size: The most that one piece holds.
            start: The first byte wanted; at or beyond the end there is none.
            stop: The first byte not wanted any more; None is the end.

        Raises:
            ObjectNotFoundError: With the first piece.
            StorageError: At any piece; also after the last, where the backend finds that the
                bytes were not those that were written. Trust nothing before the end.
        """

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Say whether an object lies at the key."""

    @abstractmethod
    def size(self, path: str) -> int:
        """Return the object's size in bytes. Raises ObjectNotFoundError."""

    def holds_file(self, local_path: Path, path: str) -> bool:
        """Say whether the object's bytes are those of a local file, as far as the storage knows.

        Raises:
            ObjectNotFoundError: Nothing lies there.
        """
        if self.size(path) != local_path.stat().st_size:
            return False
        with local_path.open("rb") as file:
            try:
                return all(file.read(len(piece)) == piece for piece in self.read_chunks(path))
            except ObjectDamagedError:
                return False

    def holds(self, data: bytes, path: str) -> bool:
        """``holds_file`` for bytes at hand."""
        if self.size(path) != len(data):
            return False
        try:
            return self.read_bytes(path) == data
        except ObjectDamagedError:
            return False

    @abstractmethod
    def age(self, path: str) -> float:
        """Return the seconds since an object was written, both by the storage's own clock.

        Raises ObjectNotFoundError.
        """

    @abstractmethod
    def list_files(
        self, path: str = "", pattern: str = "*", *, recursive: bool = False
    ) -> list[str]:
        """List the keys below a directory, sorted; a missing directory is empty.

        Shows whole objects only, and none whose name is no valid key.

        Args:
            path: The directory's key; "" is the root.
            pattern: An ``fnmatch`` pattern on the last component.
            recursive: Descend into directories below.
        """

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete an object, durably; a missing one is fine, a directory is left alone."""

    @abstractmethod
    def sweep_unfinished(self, *, older_than: float) -> int:
        """Remove what writers that died left of objects that never became whole.

        Args:
            older_than: Seconds since something was last added to it; a writer that is slower than
                this fails, and nothing else happens.

        Returns:
            How many were removed.
        """

    @abstractmethod
    def mkdir(self, path: str) -> None:
        """Create a directory and its ancestors where the backend has directories."""

    @abstractmethod
    def ensure_durable(self, path: str) -> None:
        """Make durable an object that another process wrote, before relying on it.

        Raises:
            ObjectNotFoundError: Nothing lies there.
        """

    @abstractmethod
    def local_path(self, path: str) -> Path | None:
        """Return where the key lies on this machine's disk, or None if it does not."""

    @abstractmethod
    def get_full_path(self, path: str) -> str:
        """Return the path or URI under which other tools open the key."""

    @abstractmethod
    def get_storage_options(self, library: Library) -> dict[str, Any]:
        """Return the options that a library needs to open ``get_full_path``'s answer."""

    def join_path(self, *parts: str) -> str:
        """Join parts into a key: single slashes, no leading or trailing one."""
        return "/".join(p for part in parts if (p := part.strip("/")))

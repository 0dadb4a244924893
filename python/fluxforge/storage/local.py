"""Storage on a local disk: whole files, exclusive creation, everything synced.

Promise: when a write returns, the object and every directory above it survive a power cut; a
reader sees an object whole or not at all. The order of steps is ``disk``'s. Making the backend
touches nothing: the root appears with the first write.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from itertools import chain, islice
from pathlib import Path
from typing import Any

from fluxforge.errors import InvalidKeyError, ObjectNotFoundError, StorageAccessError, StorageError
from fluxforge.storage import disk, disk_batch
from fluxforge.storage.base import LIBRARIES, Library, StorageBackend
from fluxforge.storage.keys import TEMP_PREFIX, check_directory, check_key, is_valid_key

_PIECE = 1 << 20
_MANY = 16  # objects from which on syncing the whole file system is the shorter wait
# Missing, below what is a file, or a link that points at itself.
_NOTHING_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class LocalStorage(StorageBackend):
    """A directory as a storage.

    Symbolic links inside the root are followed while they stay inside; the root itself may be one.

    Args:
        root: The directory; relative ones are taken from the current directory once, now.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = Path(os.path.abspath(Path(root).expanduser()))  # noqa: PTH100  # drops ".."
        self._synced: set[Path] = set()  # directories whose way down from the root is durable
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"LocalStorage({str(self._root)!r})"

    # -- writing ------------------------------------------------------------------------------

    def write_bytes(self, data: bytes | memoryview, path: str) -> None:
        """See StorageBackend."""
        self._write([data], path, disk.publish_replacing)

    def create_new(self, data: bytes | memoryview, path: str) -> bool:
        """See StorageBackend."""
        return self._write([data], path, disk.publish_new)

    def create_all(self, objects: Iterable[tuple[bytes | memoryview, str]]) -> list[bool]:
        """See StorageBackend. Many share two syncs of the whole file system."""
        coming = iter(objects)
        first = list(islice(coming, _MANY))
        if len(first) < _MANY or not disk_batch.supported():
            return super().create_all(chain(first, coming))
        root = str(self._root)
        with self._explained("write", first[0][1], writing=True):
            self._prepare(self._root)
        with disk_batch.Batch(root, check_link=self._require_link_inside) as batch:
            fresh = []
            for data, key in chain(first, coming):
                with self._explained("write", key, writing=True):
                    fresh.append(batch.add(data, f"{root}/{check_key(key)}"))
            with self._explained("write", f"{len(fresh)} objects", writing=True):
                created = iter(batch.publish())
        return [new and next(created) for new in fresh]

    def create_new_file(self, local_path: Path, path: str) -> bool:
        """See StorageBackend."""
        return self._write(_pieces(local_path), path, disk.publish_new)

    def write_file(self, local_path: Path, path: str) -> None:
        """See StorageBackend."""
        self._write(_pieces(local_path), path, disk.publish_replacing)

    def _write(
        self, pieces: Iterable[bytes | memoryview], path: str, publish: disk.Publish
    ) -> bool:
        target = self._path(path, follow=False)
        with self._explained("write", path, writing=True):
            if publish is disk.publish_new and os.path.lexists(target):
                return (
                    False  # saves writing it all; between two that both see nothing, link decides
                )
            self._prepare(target.parent)
            temp = disk.write_temporary(target.parent, pieces)
            try:
                created = publish(temp, target)
            except BaseException:
                temp.unlink(missing_ok=True)
                raise
            if created:
                disk.sync_directory(target.parent)
            return created

    def delete(self, path: str) -> None:
        """See StorageBackend."""
        target = self._path(path, follow=False)
        with self._explained("delete", path):
            if _kind(target) in {None, stat.S_IFDIR}:
                return
            target.unlink(missing_ok=True)
            disk.sync_directory(target.parent)

    def sweep_unfinished(self, *, older_than: float) -> int:
        """See StorageBackend."""
        with self._explained("sweep", "the root"):
            return disk.sweep_temporaries(self._root, before=time.time() - older_than)

    def mkdir(self, path: str) -> None:
        """See StorageBackend."""
        directory = self._directory(path)
        with self._explained("create the directory", path, writing=True):
            self._prepare(directory)

    def ensure_durable(self, path: str) -> None:
        """See StorageBackend."""
        target = self._path(path)
        with self._explained("sync", path):
            _require_file(target)
            disk.sync_file(target)
            disk.sync_directory(target.parent)
            self._prepare(target.parent)

    def _prepare(self, directory: Path) -> None:
        """Have a directory exist, durable all the way down from the root.

        Once per directory the whole way is synced, not only what this call created: another
        process may have made a directory a moment ago and not have come to syncing it.
        """
        with self._lock:
            if directory in self._synced and directory.is_dir():
                return
        disk.make_directories(directory)
        above = directory
        while above != self._root:
            above = above.parent
            disk.sync_directory(above)
        with suppress(PermissionError):  # what lies above the root need not be ours to open
            disk.sync_directory(self._root.parent)
        with self._lock:
            self._synced.add(directory)

    # -- reading ------------------------------------------------------------------------------

    def read_bytes(self, path: str) -> bytes:
        """See StorageBackend."""
        target = self._path(path)
        with self._explained("read", path):
            _require_file(target)
            return target.read_bytes()

    def read_chunks(
        self, path: str, chunk_size: int = _PIECE, *, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        """See StorageBackend."""
        target = self._path(path)
        with self._explained("read", path):
            _require_file(target)
            stream = target.open("rb", buffering=0)
        with stream:
            stream.seek(start)
            while stop is None or start < stop:
                # What the consumer of the stream raises is not ours to explain.
                with self._explained("read", path):
                    wanted = chunk_size if stop is None else min(chunk_size, stop - start)
                    piece = stream.read(wanted)
                if not piece:
                    return
                start += len(piece)
                yield piece

    def exists(self, path: str) -> bool:
        """See StorageBackend."""
        target = self._path(path)
        with self._explained("look for", path):
            return _kind(target) == stat.S_IFREG

    def size(self, path: str) -> int:
        """See StorageBackend."""
        target = self._path(path)
        with self._explained("measure", path):
            return _require_file(target).st_size

    def age(self, path: str) -> float:
        """See StorageBackend."""
        target = self._path(path)
        with self._explained("look at", path):
            return time.time() - _require_file(target).st_mtime

    def list_files(
        self, path: str = "", pattern: str = "*", *, recursive: bool = False
    ) -> list[str]:
        """See StorageBackend. Names that are no valid keys are not shown."""
        start = self._directory(path)
        found = []
        with self._explained("list", path or "the root"):
            for entry in self._entries(start, recursive=recursive):
                key = Path(entry.path).relative_to(self._root).as_posix()
                if fnmatchcase(entry.name, pattern) and is_valid_key(key):
                    found.append(key)
        return sorted(found)

    def _entries(self, directory: Path, *, recursive: bool) -> Iterator[os.DirEntry[str]]:
        waiting = [directory]
        while waiting:
            try:
                scan = os.scandir(waiting.pop())
            except (FileNotFoundError, NotADirectoryError):
                continue  # never there, or gone since its parent was read
            with scan as entries:
                for entry in entries:
                    # Links to directories are not descended: they may lead in a circle.
                    if entry.is_dir(follow_symlinks=False):
                        if recursive:
                            waiting.append(Path(entry.path))
                    elif not entry.name.startswith(TEMP_PREFIX) and self._shows(entry):
                        yield entry

    def _shows(self, entry: os.DirEntry[str]) -> bool:
        if not entry.is_symlink():
            return entry.is_file()
        target = Path(entry.path)
        return self._contains(target) and _kind(target) == stat.S_IFREG

    # -- where things lie ---------------------------------------------------------------------

    def local_path(self, path: str) -> Path | None:
        """See StorageBackend."""
        return self._directory(path)

    def get_full_path(self, path: str) -> str:
        """Return the absolute path."""
        return str(self._directory(path))

    def get_storage_options(self, library: Library) -> dict[str, Any]:
        """Return nothing: a path is all that any library needs."""
        if library not in LIBRARIES:
            raise ValueError(f"library must be one of {', '.join(LIBRARIES)}, not {library!r}")
        return {}

    def _path(self, key: str, *, follow: bool = True) -> Path:
        """Return where an object lies; its last link is followed by readers only."""
        target = self._root / check_key(key)
        self._require_inside(target if follow else target.parent, key)
        return target

    def _directory(self, key: str) -> Path:
        target = self._root / check_directory(key)
        self._require_inside(target, key)
        return target

    def _require_inside(self, target: Path, key: str) -> None:
        if not self._contains(target):
            raise InvalidKeyError(
                f"{key!r} leads out of {self._root} through a symbolic link; it is not followed"
            )

    def _require_link_inside(self, link: str) -> None:
        target = Path(link)
        self._require_inside(target, target.relative_to(self._root).as_posix())

    def _contains(self, target: Path) -> bool:
        # Path.resolve() raises on a circle of links; realpath leaves it to the call that opens.
        return Path(os.path.realpath(target)).is_relative_to(os.path.realpath(self._root))

    @contextmanager
    def _explained(self, action: str, key: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except OSError as error:
            what = f"could not {action} {key!r} in {self._root}"
            if error.errno in _NOTHING_THERE and not writing:
                missing = ObjectNotFoundError(f"{what}: nothing lies there")
                missing.errno = error.errno
                raise missing from error
            raise _explain(error, what) from error


def _pieces(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb", buffering=0) as stream:
            while piece := stream.read(_PIECE):
                yield piece
    except OSError as error:
        raise StorageError(f"could not read the local file {source}: {error.strerror}") from error


def _kind(path: Path) -> int | None:
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return None
        raise


def _require_file(path: Path) -> os.stat_result:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, "not a file")
    return status


def _explain(error: OSError, what: str) -> StorageError:
    explained: StorageError
    match error.errno:
        case errno.ENOTDIR | errno.EEXIST | errno.EISDIR:
            explained = StorageError(f"{what}: a file and a directory claim the same name")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            explained = StorageAccessError(
                f"{what}: {error.strerror}; give this user the right to it or set storage.base_dir"
            )
        case errno.ENOSPC | errno.EDQUOT:
            explained = StorageError(
                f"{what}: {error.strerror}; free space there or move storage.base_dir"
            )
        case _:
            explained = StorageError(f"{what}: {error.strerror or error}")
    explained.errno = error.errno
    return explained

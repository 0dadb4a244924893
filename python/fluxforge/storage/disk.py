"""What reaches the disk and in which order; the one place where operating systems differ.

A whole-file write is: temporary file in the target's directory → write → fsync → publish under
its name → fsync the directory. After a crash before *publish* one finds a temporary name that
no listing shows; after it the object, whole, or (the directory not synced yet) nothing.

Windows has no directory to sync (NTFS journals names itself) and no need of link(2): its rename
refuses an existing target. macOS's fsync stops at the drive's cache; F_FULLFSYNC does not.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from fluxforge.storage.keys import TEMP_PREFIX

WINDOWS = sys.platform == "win32"
_DATA = os.O_CLOEXEC if hasattr(os, "O_CLOEXEC") else 0
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would translate line ends


def sync_descriptor(fd: int) -> None:
    """Make a file's content durable."""
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415  # exists on POSIX only

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def sync_file(path: Path) -> None:
    """Make durable the content of a file that someone else may have written."""
    # Windows flushes only what is open for writing.
    fd = os.open(path, (os.O_RDWR if WINDOWS else os.O_RDONLY) | _DATA | _BINARY)
    try:
        sync_descriptor(fd)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """Make a directory's entries durable."""
    if WINDOWS:
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _DATA)
    try:
        sync_descriptor(fd)
    finally:
        os.close(fd)


def make_directories(path: Path) -> None:
    """Create a directory and its ancestors, each durable before the next one is made in it."""
    missing = []
    ancestor = path
    while not ancestor.exists():
        missing.append(ancestor)
        ancestor = ancestor.parent
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        sync_directory(directory.parent)
    if not missing and not path.is_dir():
        path.mkdir()  # for its error: something else has this name


def write_temporary(directory: Path, pieces: Iterable[bytes | memoryview]) -> Path:
    """Write and sync a file under a name that listings never show. The caller publishes it."""
    temp = directory / f"{TEMP_PREFIX}{secrets.token_hex(12)}"
    try:
        write_new(temp, pieces, sync=True)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    return temp


def sweep_temporaries(root: Path, *, before: float) -> int:
    """Remove temporary files below a directory that nobody has written to since a time.

    Their directories are not synced: one that comes back after a power cut is swept again.

    Args:
        root: The directory; links in it are not followed.
        before: Seconds since the epoch.

    Returns:
        How many were removed.
    """
    removed = 0
    for directory, _, names in os.walk(root):
        for name in names:
            if not name.startswith(TEMP_PREFIX):
                continue
            temp = Path(directory, name)
            with suppress(FileNotFoundError):  # published, or swept by another
                if temp.lstat().st_mtime < before:
                    temp.unlink()
                    removed += 1
    return removed


def write_new(path: str | Path, pieces: Iterable[bytes | memoryview], *, sync: bool) -> None:
    """Write a file that must not exist yet."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _DATA | _BINARY
    fd = os.open(path, flags, 0o666)  # the umask decides, as for any other file
    try:
        for piece in pieces:
            _write_all(fd, piece)
        if sync:
            sync_descriptor(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes | memoryview) -> None:
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[os.write(fd, rest) :]  # the kernel may take less than all


Publish = Callable[[Path, Path], bool]
"""Gives a temporary file its name; False if the name was taken and has been left alone."""


def publish_replacing(temp: Path, target: Path) -> bool:
    """Give the file its name, in place of what had it."""
    temp.replace(target)
    return True


def publish_new(temp: str | Path, target: str | Path) -> bool:
    """Give the file its name unless something has it; of many callers one gets True."""
    try:
        if WINDOWS:
            os.rename(temp, target)  # noqa: PTH104 - batches have plain strings
        else:
            os.link(temp, target)
            os.unlink(temp)  # noqa: PTH108 - as above
    except FileExistsError:
        os.unlink(temp)  # noqa: PTH108 - as above
        return False
    return True

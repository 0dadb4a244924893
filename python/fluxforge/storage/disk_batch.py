"""Many new files, durable together: two syncs of the file system in place of three per file.

The order on disk: directories and temporary files → sync → names → sync. After a crash before the
names one finds temporary files that no listing shows; after it some or all of the objects, each
whole. The caller hears of success only when all of them are durable.

Only Linux can sync a whole file system and hear of errors (syncfs, since 5.8). It also waits for
what other processes have written there, so it is worth it for many files only.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import secrets
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Self

from fluxforge.storage import disk
from fluxforge.storage.disk_directories import Directories
from fluxforge.storage.keys import TEMP_PREFIX

_REPORTS_ERRORS = (5, 8)


@cache
def supported() -> bool:
    """Say whether this system can sync a whole file system and report what went wrong."""
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    if sys.platform != "linux" or release is None:
        return False
    return (int(release[1]), int(release[2])) >= _REPORTS_ERRORS and hasattr(_libc(), "syncfs")


def sync_file_system(fd: int) -> None:
    """Make durable all that was written to a descriptor's file system.

    Reports the errors of writes since the descriptor was opened: open it before writing.
    """
    if _libc().syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Batch:
    """New files on their way; a context that removes what was not published.

    Args:
        root: Directory that exists, absolute; the files lie below it.
        check_link: Called with each symbolic link above a file; raises if it leads astray.
    """

    def __init__(self, root: str, *, check_link: Callable[[str], None]) -> None:
        self._root = root
        self._directories = Directories(root, check_link=check_link, entered=self._watch)
        self._prefix = f"{TEMP_PREFIX}{secrets.token_hex(12)}"
        self._temps: list[tuple[str, str]] = []
        self._file_systems: dict[int, int] = {}

    def __enter__(self) -> Self:
        self._watch(self._root)
        return self

    def __exit__(self, *_exception: object) -> None:
        for temporary, _target in self._temps:
            Path(temporary).unlink(missing_ok=True)
        for fd in self._file_systems.values():
            os.close(fd)

    def add(self, data: bytes | memoryview, target: str) -> bool:
        """Write a file that will get the target's name, having looked at the way to it.

        Returns:
            False if something has that name: nothing was written.
        """
        directory = os.path.dirname(target)  # noqa: PTH120 - thousands of them
        self._directories.look(directory)
        if not self._directories.make(directory) and os.path.lexists(target):
            return False
        temp = f"{directory}/{self._prefix}{len(self._temps)}"
        self._temps.append((temp, target))
        disk.write_new(temp, [data], sync=False)
        return True

    def publish(self) -> list[bool]:
        """Make everything durable, then name it, and the names durable.

        Returns:
            For each file, as added, whether its name was still free; what had it is left alone.
        """
        self._sync()
        created = [disk.publish_new(temp, target) for temp, target in self._temps]
        self._temps.clear()
        self._sync()
        return created

    def _watch(self, directory: str) -> None:
        # What lies below the root may be another file system, mounted there.
        device = os.stat(directory).st_dev  # noqa: PTH116 - thousands of them
        if device not in self._file_systems:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            self._file_systems[device] = os.open(directory, flags)

    def _sync(self) -> None:
        for fd in self._file_systems.values():
            sync_file_system(fd)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)

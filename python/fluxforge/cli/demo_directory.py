"""The demo's directory: each run starts anew and removes nothing but an earlier demo's data."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fluxforge.errors import ConfigError

_JOURNAL = "exchange-journal.ndjson"
_DATA = ("raw", "processed")


@contextmanager
def demo_directory(data_dir: Path) -> Iterator[Path]:
    """Have an empty demo directory for the length of a block; no other demo gets it meanwhile.

    Yields:
        Where the exchange's journal goes, in the directory.

    Raises:
        ConfigError: The directory holds what is no demo's, is in use or cannot be written.
    """
    try:
        journal = data_dir.expanduser() / _JOURNAL
        lock = _prepare(journal)
    except (OSError, RuntimeError) as error:  # RuntimeError: no such user behind a "~"
        raise ConfigError(f"cannot use {data_dir}: {error}. Choose another --data-dir.") from error
    with lock:
        try:
            yield journal
        finally:
            # What is newer than this was recorded after the demo, and is not the next one's.
            os.utime(journal)


def _prepare(journal: Path) -> BinaryIO:
    """Lock the directory and empty it; the lock lasts as long as the returned file is open."""
    data_dir = journal.parent
    is_demo = journal.is_file()
    if data_dir.exists() and not is_demo and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise ConfigError(
            f"{data_dir} is not empty and no earlier demo's. Choose another --data-dir."
        )
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = journal.open("ab")
    try:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_demo:
            _must_hold_a_demo_alone(data_dir, journal)
            for name in _DATA:
                shutil.rmtree(data_dir / name, ignore_errors=True)
    except BlockingIOError:
        lock.close()
        raise ConfigError(
            f"another demo is running in {data_dir}. Choose another --data-dir."
        ) from None
    except BaseException:
        lock.close()
        raise
    return lock


def _must_hold_a_demo_alone(data_dir: Path, journal: Path) -> None:
    """Refuse what a demo did not write, and what was recorded here after the demo's end."""
    ended = journal.stat().st_mtime_ns
    files = (path for name in _DATA for path in (data_dir / name).rglob("*") if path.is_file())
    later = (path for path in files if path.stat().st_mtime_ns > ended)
    beside = (path for path in data_dir.iterdir() if path.name not in {_JOURNAL, *_DATA})
    alien = next(beside, None) or next(later, None)
    if alien is not None:
        raise ConfigError(
            f"{data_dir} holds more than a demo's data ({alien}). Choose another --data-dir."
        )

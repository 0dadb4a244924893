"""Asks a storage whether ``create_new`` is honest, before anything relies on it.

All that keeps two ETL workers apart is that of many callers one creates. There are stores that
speak S3, accept ``If-None-Match: *`` and write anyway; on such a store every worker wins. So the
verb is tried where it matters, with objects of a few bytes below one hidden key, removed after:

1. it creates where nothing lies, and what lies there is what was given;
2. it refuses where something lies, and leaves that alone;
3. of callers at the same moment exactly one wins, and the winner's bytes stay;
4. what was deleted is gone, and can be created again.

A race that is won once too often may be missed by luck; a store that ignores the condition is
caught by the second step, without any.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

from fluxforge.errors import DishonestStorageError, StorageError
from fluxforge.storage.base import StorageBackend

DIRECTORY = ".fluxforge-probe"
"""Below the root, beside raw and processed; no stage looks there."""

_RACES = 3
_RACERS = 6


def require_honest(storage: StorageBackend) -> None:
    """Return if ``create_new`` keeps its promise here; costs about 40 requests.

    A local disk is not asked: there the kernel decides between two.

    Raises:
        DishonestStorageError: It does not; the message says in what.
        StorageError: It could not be tried: the storage refused or did not answer.
    """
    if storage.local_path("") is not None:
        return
    token = secrets.token_hex(8)
    lone = f"{DIRECTORY}/{token}"
    races = [f"{DIRECTORY}/{token}-{number}" for number in range(_RACES)]
    try:
        _alone(storage, lone)
        for key in races:
            _race(storage, key)
    except BaseException:
        for key in (lone, *races):
            with suppress(StorageError):  # what went wrong first is what there is to say
                storage.delete(key)
        raise
    for key in (lone, *races):
        storage.delete(key)


def _alone(storage: StorageBackend, key: str) -> None:
    first, second = secrets.token_bytes(16), secrets.token_bytes(16)
    if not storage.create_new(first, key):
        raise _lie(storage, "it refused to create an object where none lay")
    if storage.read_bytes(key) != first:
        raise _lie(storage, "it gave back other bytes than it had taken")
    if storage.create_new(second, key):
        raise _lie(storage, "it took a second object for a key that was taken")
    if storage.read_bytes(key) != first:
        raise _lie(storage, "it refused a second object and replaced the first one with it")
    storage.delete(key)
    if storage.exists(key):
        raise _lie(storage, "it still showed an object after deleting it")
    if not storage.create_new(second, key):
        raise _lie(storage, "it refused to create an object again that had been deleted")


def _race(storage: StorageBackend, key: str) -> None:
    contents = [secrets.token_bytes(16) for _ in range(_RACERS)]
    start = Barrier(_RACERS)

    def create(content: bytes) -> bool:
        start.wait()
        return storage.create_new(content, key)

    with ThreadPoolExecutor(_RACERS, "probe") as pool:
        won = list(pool.map(create, contents))
    if won.count(True) != 1:
        raise _lie(storage, f"of {_RACERS} writers at once {won.count(True)} were told they won")
    if storage.read_bytes(key) != contents[won.index(True)]:
        raise _lie(storage, "it kept the bytes of a writer that it had told it lost")


def _lie(storage: StorageBackend, what: str) -> DishonestStorageError:
    return DishonestStorageError(
        f"{storage.get_full_path('')} cannot keep ETL workers apart: {what}. Use a store that "
        "honours PUT with If-None-Match, or, if never more than one ETL runs on it, set "
        "etl.single_worker: true"
    )

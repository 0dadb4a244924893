"""A block device as a plugin of nbdkit: a file, and beside it a log of all that was written.

Parameters: `image`, the file; `log`, where each write is appended as (offset, length, bytes) and
each flush as (0, 0), in the order in which the device completed them.
"""

from __future__ import annotations

import os
import struct

API_VERSION = 2
ENTRY = struct.Struct("<QI")
files: dict[str, int] = {}


def config(key: str, value: str) -> None:
    flags = os.O_RDWR if key == "image" else os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files[key] = os.open(value, flags)


def thread_model() -> int:
    import nbdkit  # noqa: PLC0415  there only inside nbdkit

    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def open(readonly: bool) -> int:  # noqa: A001, ARG001, FBT001  names and types are nbdkit's
    return 1


def get_size(handle: int) -> int:  # noqa: ARG001
    return os.fstat(files["image"]).st_size


def can_flush(handle: int) -> bool:  # noqa: ARG001
    return True


def pread(handle: int, buf: bytearray, offset: int, flags: int) -> None:  # noqa: ARG001
    os.preadv(files["image"], [buf], offset)


def pwrite(handle: int, buf: bytearray, offset: int, flags: int) -> None:  # noqa: ARG001
    os.pwrite(files["image"], buf, offset)
    # One write per entry: whoever looks at the log's length sees whole entries.
    os.writev(files["log"], [ENTRY.pack(offset, len(buf)), buf])


def flush(handle: int, flags: int) -> None:  # noqa: ARG001
    os.write(files["log"], ENTRY.pack(0, 0))

"""Everything FluxForge raises on purpose.

    FluxForgeError
    ├── ConfigError                 wrong or missing configuration        (exit code 2)
    ├── StorageError
    │   ├── InvalidKeyError         a key that could leave the root       (also ValueError)
    │   ├── ObjectNotFoundError     nothing lies at that key              (also FileNotFoundError)
    │   ├── ObjectDamagedError      what lies there is not what was written
    │   ├── StorageAccessError      refused, unreachable or misconfigured (exit code 2)
    │   └── DishonestStorageError   breaks the promise of create_new      (exit code 2)
    ├── SegmentError
    │   ├── SegmentNotFoundError    no segment there                      (also FileNotFoundError)
    │   ├── SegmentFormatError      written by a newer FluxForge          (exit code 2)
    │   ├── SegmentWriteError       the disk refused; capture has stopped (also OSError)
    │   ├── WriterLockedError       another process writes here           (exit code 2)
    │   └── QueueFullError          the writer's queue is full: await drain()
    ├── FeedError                   no such feed or table                 (exit code 2)
    └── LedgerError                 commit records that contradict each other
        ├── LedgerFormatError       written by a newer FluxForge          (exit code 2)
        └── SecondLakeError         the raw becomes another lake already  (exit code 2)

A message says what was being done, to which path or key, and what to do about it.
"""

from __future__ import annotations


class FluxForgeError(Exception):
    """Base of every error that FluxForge raises on purpose.

    Attributes:
        exit_code: What the command line exits with when this ends a command: 2 where the user's
            configuration or environment must change first, else 1.
    """

    exit_code: int = 1


class ConfigError(FluxForgeError):
    """The configuration is wrong; the message names the key and what would be right."""

    exit_code = 2


class StorageError(FluxForgeError):
    """A storage backend could not do what it was asked.

    Attributes:
        errno: The operating system's error number, where it was one that said no.
    """

    errno: int | None = None


class InvalidKeyError(StorageError, ValueError):
    """A key that is absolute, climbs with ``..``, or holds a NUL or control character."""


class ObjectNotFoundError(StorageError, FileNotFoundError):
    """Nothing lies at that key."""


class ObjectDamagedError(StorageError):
    """The bytes that the storage gives are not those that were written, however often asked."""


class StorageAccessError(StorageError):
    """The storage refused or could not be reached; the message names the permission or address."""

    exit_code = 2


class DishonestStorageError(StorageError):
    """The storage accepts exclusive writes and does not keep them exclusive."""

    exit_code = 2


class SegmentError(FluxForgeError):
    """A segment could not be written, sealed, recovered or read."""


class SegmentNotFoundError(SegmentError, FileNotFoundError):
    """No segment lies there."""


class SegmentFormatError(SegmentError):
    """A segment of a newer format than this version knows. Nothing was changed: upgrade."""

    exit_code = 2


class SegmentWriteError(SegmentError, OSError):
    """The disk failed in a way that no retry can mend. What was durable stays durable."""


class WriterLockedError(SegmentError):
    """Another live process writes to this directory under the same writer_id."""

    exit_code = 2


class QueueFullError(SegmentError):
    """The frame was not taken: the queue is full. ``await writer.drain()`` and append again."""


class FeedError(FluxForgeError):
    """There is no such feed or table, or a feed's description makes no sense."""

    exit_code = 2


class LedgerError(FluxForgeError):
    """Commit records contradict each other or what lies in the lake."""


class LedgerFormatError(LedgerError):
    """A commit record of a newer format than this version knows. Nothing was changed: upgrade."""

    exit_code = 2


class SecondLakeError(LedgerError):
    """These segments become another lake already, and are removed once they have."""

    exit_code = 2

"""Where objects lie: one contract, on local disk and on S3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fluxforge.storage.base import StorageBackend
from fluxforge.storage.local import LocalStorage

if TYPE_CHECKING:
    from fluxforge.storage.s3 import S3Storage

__all__ = ["LocalStorage", "S3Storage", "StorageBackend"]


def __getattr__(name: str) -> Any:
    if name == "S3Storage":  # not before it is used: boto3 takes its time
        from fluxforge.storage.s3 import S3Storage  # noqa: PLC0415

        return S3Storage
    raise AttributeError(f"module 'fluxforge.storage' has no attribute {name!r}")

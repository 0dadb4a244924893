"""Storage on S3 or a store that speaks it, over boto3.

Promise: a PUT is whole or absent, and durable when S3 has answered. ``create_new`` is one PUT
with ``If-None-Match: *``, never a multipart upload (not every store honours the condition when
one completes) and never a copy. Each object carries checksums of its blocks and a hash of the
whole in its metadata, and nothing is given out that does not match: a store or a network without
checksums cannot hand out a flipped bit.

How an object goes up is ``s3_put``'s business, how it comes down ``s3_reading``'s.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from fnmatch import fnmatchcase
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from fluxforge.errors import ObjectNotFoundError, StorageError
from fluxforge.storage import s3_reading
from fluxforge.storage.base import LIBRARIES, Library, StorageBackend
from fluxforge.storage.keys import check_directory, check_key, is_valid_key
from fluxforge.storage.s3_access import MULTIPART_THREADS, S3Access, is_aws
from fluxforge.storage.s3_ages import abort_uploads, answered_at
from fluxforge.storage.s3_errors import NOT_FOUND, explain, status_of
from fluxforge.storage.s3_fingerprint import Fingerprint
from fluxforge.storage.s3_put import Put

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

_LARGEST_SINGLE_PUT = 5 << 30
# Classic: on some machines boto3 would hand over to another client, which has other settings.
_TRANSFER = TransferConfig(
    multipart_threshold=64 << 20,
    multipart_chunksize=16 << 20,
    max_concurrency=MULTIPART_THREADS,
    preferred_transfer_client="classic",
)


class S3Storage(StorageBackend):
    """A bucket, or a prefix in it, as a storage. Asks S3 nothing before it is used.

    Args:
        bucket: The bucket's name.
        prefix: Where the root lies in it; "" is its top.
        region: AWS region; None takes it from the environment or profile.
        endpoint_url: Address of a store that is not AWS.
        aws_access_key_id: With the next two: explicit credentials. None leaves it to boto3's
            chain: environment, profile, role.
        aws_secret_access_key: See above.
        aws_session_token: See above.
        profile: A profile of ``~/.aws``.
        config: Settings for boto3's client, over our own.
        sleep: Waits between tries after a conflict, in seconds.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        profile: str | None = None,
        config: Config | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bucket = bucket
        self._prefix = check_directory(prefix)
        self._access = S3Access(
            region=region,
            endpoint_url=endpoint_url,
            aws_access_key_id=aws_access_key_id,
            aws_secret_access_key=aws_secret_access_key,
            aws_session_token=aws_session_token,
            profile=profile,
        )
        self._config = config
        self._sleep = sleep
        self._made: S3Client | None = None
        self._bucket_seen = False
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"S3Storage({self._root!r})"

    @property
    def _root(self) -> str:
        return f"s3://{'/'.join(filter(None, (self._bucket, self._prefix)))}"

    @property
    def _client(self) -> S3Client:
        with self._lock:
            if self._made is None:
                self._made = self._access.client(self._config)
            return self._made

    # -- writing ------------------------------------------------------------------------------

    def write_bytes(self, data: bytes | memoryview, path: str) -> None:
        """See StorageBackend."""
        put = self._put_bytes(data, path)
        with self._explained("write", path):
            put.replace()

    def write_file(self, local_path: Path, path: str) -> None:
        """See StorageBackend. Large files go up in parts, which are removed where it fails."""
        key = self._key(path)
        with _opened(local_path) as stream, self._explained("write", path):
            fingerprint = Fingerprint.of_file(stream, _size(stream))
            extra: dict[str, Any] = {"Metadata": fingerprint.metadata()}
            if is_aws(self._client):
                extra["ChecksumAlgorithm"] = "CRC32C"
            stream.seek(0)
            self._client.upload_fileobj(
                stream, self._bucket, key, ExtraArgs=extra, Config=_TRANSFER
            )

    def create_new(self, data: bytes | memoryview, path: str) -> bool:
        """See StorageBackend."""
        put = self._put_bytes(data, path)
        with self._explained("create", path):
            return put.create()

    def create_new_file(self, local_path: Path, path: str) -> bool:
        """See StorageBackend. One PUT, so at most 5 GiB."""
        key = self._key(path)
        with _opened(local_path) as stream:
            size = _size(stream)
            if size > _LARGEST_SINGLE_PUT:
                raise StorageError(
                    f"could not write {path!r} in {self._root}: {local_path} is larger than the "
                    "5 GiB that one exclusive PUT can hold; lower ingestion.segment_max_mb"
                )

            def rewound() -> BufferedReader:
                stream.seek(0)
                return stream

            with self._explained("create", path):
                return self._put(key, rewound, Fingerprint.of_file(stream, size)).create()

    def _put_bytes(self, data: bytes | memoryview, path: str) -> Put:
        key, body = self._key(path), bytes(data)
        return self._put(key, lambda: body, Fingerprint.of_bytes(body))

    def _put(
        self, key: str, body: Callable[[], bytes | BufferedReader], fingerprint: Fingerprint
    ) -> Put:
        return Put(
            client=self._client,
            bucket=self._bucket,
            key=key,
            body=body,
            fingerprint=fingerprint,
            checksum_header=is_aws(self._client),
            sleep=self._sleep,
        )

    def delete(self, path: str) -> None:
        """See StorageBackend."""
        key = self._key(path)
        with self._explained("delete", path):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def sweep_unfinished(self, *, older_than: float) -> int:
        """See StorageBackend. Aborts multipart uploads, which are paid for until they end."""
        with self._explained("sweep", "the root"):
            return abort_uploads(
                self._client, self._bucket, self._prefix, older_than=timedelta(seconds=older_than)
            )

    def mkdir(self, path: str) -> None:
        """Do nothing but check the key: S3 has no directories."""
        check_directory(path)

    def ensure_durable(self, path: str) -> None:
        """See StorageBackend. What S3 shows is durable."""
        self.size(path)

    # -- reading ------------------------------------------------------------------------------

    def read_bytes(self, path: str) -> bytes:
        """See StorageBackend."""
        return b"".join(self.read_chunks(path))

    def read_chunks(
        self, path: str, chunk_size: int = 1 << 20, *, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        """See StorageBackend. What does not match its checksum is asked for again."""
        key = self._key(path)
        if (stop is not None and stop <= start) or (
            begin := self._block_start(path, start)
        ) is None:
            return

        def get(offset: int) -> GetObjectOutputTypeDef:
            if offset == 0:  # not every store knows ranges
                return self._client.get_object(Bucket=self._bucket, Key=key)
            return self._client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes={offset}-")

        what = f"could not read {path!r} in {self._root}"
        blocks = s3_reading.Download(get, what, sleep=self._sleep).blocks(begin)
        explained = self._each_explained(blocks, path)
        yield from s3_reading.cut(explained, chunk_size, begin=begin, start=start, stop=stop)

    def _each_explained(self, blocks: Iterator[bytes], path: str) -> Iterator[bytes]:
        while True:
            # What the consumer of the stream raises is not ours to explain.
            with self._explained("read", path):
                block = next(blocks, None)
            if block is None:
                return
            yield block

    def _block_start(self, path: str, start: int) -> int | None:
        """Return where the block begins that holds a byte; None where the object ends before."""
        if start == 0:
            return 0
        with self._explained("read", path):
            head = self._client.head_object(Bucket=self._bucket, Key=self._key(path))
        if start >= head["ContentLength"]:
            return None
        fingerprint = Fingerprint.from_metadata(head["Metadata"])
        return start if fingerprint is None else fingerprint.block_start(start)

    def holds_file(self, local_path: Path, path: str) -> bool:
        """See StorageBackend. The object's ETag says it where it is the MD5 of what arrived."""
        key = self._key(path)
        with self._explained("compare", path):
            head = self._client.head_object(Bucket=self._bucket, Key=key)
        with _opened(local_path) as stream:
            if head["ContentLength"] != _size(stream):
                return False
            digest = hashlib.file_digest(stream, _md5)
        # Encrypted by KMS or uploaded in parts, an ETag is no MD5: then only the bytes tell.
        return head["ETag"].strip('"') == digest.hexdigest() or super().holds_file(local_path, path)

    def holds(self, data: bytes, path: str) -> bool:
        """See StorageBackend. Asks as ``holds_file`` does."""
        key = self._key(path)
        with self._explained("compare", path):
            head = self._client.head_object(Bucket=self._bucket, Key=key)
        if head["ContentLength"] != len(data):
            return False
        digest = _md5()
        digest.update(data)
        return head["ETag"].strip('"') == digest.hexdigest() or super().holds(data, path)

    def exists(self, path: str) -> bool:
        """See StorageBackend."""
        try:
            self.size(path)
        except ObjectNotFoundError:
            return False
        return True

    def size(self, path: str) -> int:
        """See StorageBackend."""
        key = self._key(path)
        with self._explained("look for", path):
            try:
                return self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
            except ClientError as error:
                if status_of(error) == NOT_FOUND:
                    self._require_bucket()
                raise

    def age(self, path: str) -> float:
        """See StorageBackend."""
        key = self._key(path)
        with self._explained("look at", path):
            head = self._client.head_object(Bucket=self._bucket, Key=key)
        return (answered_at(head) - head["LastModified"]).total_seconds()

    def _require_bucket(self) -> None:
        """Raise if it is the bucket that is missing: the answer to a HEAD does not say."""
        if not self._bucket_seen:
            self._client.head_bucket(Bucket=self._bucket)
            self._bucket_seen = True

    def list_files(
        self, path: str = "", pattern: str = "*", *, recursive: bool = False
    ) -> list[str]:
        """See StorageBackend. Names that are no valid keys are not shown."""
        directory = "/".join(filter(None, (self._prefix, check_directory(path))))
        below = f"{directory}/" if directory else ""
        root = f"{self._prefix}/" if self._prefix else ""
        with self._explained("list", path or "the root"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=below, Delimiter="" if recursive else "/"
            )
            keys = [
                entry["Key"].removeprefix(root)
                for page in pages
                for entry in page.get("Contents", [])
            ]
        return sorted(
            key
            for key in keys
            if is_valid_key(key) and fnmatchcase(key.rpartition("/")[2], pattern)
        )

    # -- where things lie ---------------------------------------------------------------------

    def local_path(self, path: str) -> Path | None:
        """Return None: nothing of it lies on this machine."""
        check_directory(path)
        return None

    def get_full_path(self, path: str) -> str:
        """Return the ``s3://`` URI."""
        return "/".join(filter(None, (self._root, check_directory(path))))

    def get_storage_options(self, library: Library) -> dict[str, Any]:
        """Return options that open ``get_full_path``; they hold the credentials in the clear.

        - polars: ``storage_options`` of ``scan_parquet`` and others.
        - pandas: ``storage_options`` of ``read_parquet`` and others (s3fs).
        - pyarrow: arguments of ``pyarrow.fs.S3FileSystem``, whose paths lack ``s3://``. To write to
          stores that are not AWS, ``AWS_REQUEST_CHECKSUM_CALCULATION=when_required`` must stand in
          the environment; there is no argument for it.
        - duckdb: parameters of ``CREATE SECRET (TYPE s3, …)``.
        """
        if library not in LIBRARIES:
            raise ValueError(f"library must be one of {', '.join(LIBRARIES)}, not {library!r}")
        return self._access.options(library)

    def _key(self, path: str) -> str:
        return "/".join(filter(None, (self._prefix, check_key(path))))

    @contextmanager
    def _explained(self, action: str, path: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError, HTTPError) as error:
            raise explain(
                error,
                f"could not {action} {path!r} in {self._root}",
                bucket=self._bucket,
                endpoint=self._access.endpoint_url or "AWS",
            ) from error


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)


def _size(stream: BufferedReader) -> int:
    return os.fstat(stream.fileno()).st_size


def _opened(local_path: Path) -> BufferedReader:
    try:
        return local_path.open("rb")
    except OSError as error:
        raise StorageError(
            f"could not read the local file {local_path}: {error.strerror}"
        ) from error

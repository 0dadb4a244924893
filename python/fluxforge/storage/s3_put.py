"""One object on its way up, in one PUT: replacing, or only where nothing lies.

A PUT may be applied although its answer is lost. boto3 then tries again and meets its own object:
412. Or it gives up, and nobody knows. So each exclusive PUT carries a nonce, and whoever finds
its own nonce at the key has won, whatever the answers said.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedReader
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from fluxforge.storage.s3_errors import (
    NOT_FOUND,
    PRECONDITION_FAILED,
    status_of,
    worth_trying_again,
)
from fluxforge.storage.s3_fingerprint import Fingerprint

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NONCE = "fluxforge-nonce"
_ATTEMPTS = 8
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Put:
    """An object to be put.

    Attributes:
        client: Who asks.
        bucket: The bucket.
        key: The object's key in it.
        body: Returns the bytes, from their beginning each time.
        fingerprint: Of these bytes.
        checksum_header: Whether the store is told their CRC32C, to refuse what arrives otherwise.
        sleep: Waits, in seconds.
    """

    client: S3Client
    bucket: str
    key: str
    body: Callable[[], bytes | BufferedReader]
    fingerprint: Fingerprint
    checksum_header: bool
    sleep: Callable[[float], None]

    def replace(self) -> None:
        """Put it, whatever lies there."""
        self._send({})

    def create(self) -> bool:
        """Put it if nothing lies there; return whether this call did."""
        nonce = secrets.token_hex(16)
        try:
            self._send({_NONCE: nonce}, IfNoneMatch="*")
        except ClientError as error:
            if status_of(error) == PRECONDITION_FAILED:
                return self._nonce_there() == nonce
            if (status_of(error) or 0) >= _SERVER_ERROR and self._is_there_after_all(nonce):
                return True
            raise
        except (BotoCoreError, HTTPError):
            if self._is_there_after_all(nonce):
                return True
            raise
        return True

    def _send(self, metadata: dict[str, str], **condition: str) -> None:
        checksum = {"ChecksumCRC32C": self.fingerprint.header()} if self.checksum_header else {}
        extra: dict[str, Any] = condition | checksum
        for attempt in range(_ATTEMPTS):
            try:
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=self.key,
                    Body=self.body(),
                    Metadata=self.fingerprint.metadata() | metadata,
                    **extra,
                )
            except ClientError as error:
                # 409: another conditional PUT of this key is under way; neither has won yet.
                if not (worth_trying_again(error) and attempt + 1 < _ATTEMPTS):
                    raise
                self.sleep(pause(attempt))
            else:
                return

    def _is_there_after_all(self, nonce: str) -> bool:
        try:
            return self._nonce_there() == nonce
        except (BotoCoreError, ClientError, HTTPError):
            return False  # nobody knows; the caller hears of the PUT's own error

    def _nonce_there(self) -> str | None:
        try:
            head = self.client.head_object(Bucket=self.bucket, Key=self.key)
        except ClientError as error:
            if status_of(error) == NOT_FOUND:  # created by someone and deleted since
                return None
            raise
        return head["Metadata"].get(_NONCE)


def pause(failures: int) -> float:
    """Return how many seconds to wait after so many failures: doubling, with jitter."""
    return random.uniform(0.05, 0.1) * (1 << failures)  # noqa: S311  # spreads, guards nothing

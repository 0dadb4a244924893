"""How old things are on S3, by the clock of S3 alone: ours may go wrong by hours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def answered_at(answer: Mapping[str, Any]) -> datetime:
    """Return when S3 gave an answer, to the second, in UTC."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    # HTTP asks for a date, and a proxy may still swallow it.
    return parsedate_to_datetime(date) if date else datetime.now(UTC)


def abort_uploads(client: S3Client, bucket: str, prefix: str, *, older_than: timedelta) -> int:
    """Abort the multipart uploads below a prefix that were begun so long ago.

    Returns:
        How many were aborted.
    """
    below = f"{prefix}/" if prefix else ""
    aborted = 0
    for page in client.get_paginator("list_multipart_uploads").paginate(
        Bucket=bucket, Prefix=below
    ):
        now = answered_at(page)
        for upload in page.get("Uploads", []):
            if now - upload["Initiated"] > older_than:
                client.abort_multipart_upload(
                    Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
                aborted += 1
    return aborted

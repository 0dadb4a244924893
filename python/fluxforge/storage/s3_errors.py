"""What S3 answers, told as FluxForge's errors: what was refused, to which key, what to do.

Decided by type, status and error code, never by text. No credential is repeated.
"""

from __future__ import annotations

from botocore import exceptions as boto
from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError

from fluxforge.errors import ObjectNotFoundError, StorageAccessError, StorageError

PRECONDITION_FAILED = 412
CONFLICT = 409
_FORBIDDEN = 403
NOT_FOUND = 404

_PERMISSION = {
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject (and s3:ListBucket: without it a missing object looks forbidden)",
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "DeleteObject": "s3:DeleteObject",
}
_BAD_CREDENTIALS = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "InvalidClientTokenId",
}
# What was sent is not what arrived, by the store's own reckoning.
_ARRIVED_DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
_WRONG_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint"}
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.TokenRetrievalError,
    boto.SSOError,
)
_UNREACHABLE = (boto.HTTPClientError, boto.ConnectionError, HTTPError)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that S3 answered with, None if it did not answer."""
    if not isinstance(error, ClientError):
        return None
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return None if status is None else int(status)


def worth_trying_again(error: ClientError) -> bool:
    """Say whether a PUT that boto3 does not try again may succeed: a conflict, damaged bytes."""
    code = error.response.get("Error", {}).get("Code")
    return status_of(error) == CONFLICT or code in _ARRIVED_DAMAGED


def explain(error: Exception, what: str, *, bucket: str, endpoint: str) -> StorageError:
    """Translate what boto3 raised.

    Args:
        error: What it raised.
        what: What was being done, e.g. ``could not read 'raw/x' in s3://bucket``.
        bucket: The bucket, for what to do about it.
        endpoint: The address that was asked.
    """
    if isinstance(error, _NO_CREDENTIALS):
        return StorageAccessError(
            f"{what}: no usable credentials; set storage.s3.aws_access_key_id and "
            "aws_secret_access_key, storage.s3.profile, AWS_PROFILE, or give this machine a role"
        )
    if isinstance(error, _UNREACHABLE):
        return StorageAccessError(
            f"{what}: {endpoint} did not answer ({type(error).__name__}); "
            "check the network and storage.s3.endpoint_url"
        )
    if isinstance(error, ClientError):
        return _explain_answer(error, what, bucket)
    return StorageError(f"{what}: {type(error).__name__}")


def _explain_answer(error: ClientError, what: str, bucket: str) -> StorageError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = status_of(error)
    if code == "NoSuchBucket" or (status == NOT_FOUND and error.operation_name == "HeadBucket"):
        return StorageAccessError(
            f"{what}: there is no bucket {bucket!r}; create it or set storage.base_dir"
        )
    if status == NOT_FOUND:
        return ObjectNotFoundError(f"{what}: nothing lies there")
    if code in _BAD_CREDENTIALS:
        return StorageAccessError(
            f"{what}: the credentials were refused ({code}); check storage.s3 or AWS_PROFILE"
        )
    if code in _WRONG_REGION:
        return StorageAccessError(
            f"{what}: the bucket lies in another region ({code}); set storage.s3.region"
        )
    if status == _FORBIDDEN:
        needed = _PERMISSION.get(error.operation_name, error.operation_name)
        return StorageAccessError(f"{what}: forbidden; the credentials need {needed} on {bucket!r}")
    return StorageError(f"{what}: S3 answered {status} {code}")

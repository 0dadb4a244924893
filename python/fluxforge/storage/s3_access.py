"""Who asks S3 and how: credentials, the client's settings, and what other libraries need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from fluxforge.storage.base import Library
from fluxforge.storage.side_by_side import AT_ONCE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MULTIPART_THREADS = 10

# Standard mode waits with jitter between its tries. A connection for each request that one worker
# has under way at most: create_all, a file in parts, and a few for heartbeats and streams.
_CLIENT = Config(
    connect_timeout=10,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=AT_ONCE + MULTIPART_THREADS + 6,
    response_checksum_validation="when_required",  # every block is checked by ourselves
)
# Stores that are not AWS choke on the newer checksum trailers, and few resolve bucket names by
# DNS. All of them verify signatures; one over the body as well is what a damaged upload fails.
_CUSTOM_ENDPOINT = Config(
    request_checksum_calculation="when_required",
    s3={"addressing_style": "path", "payload_signing_enabled": True},
)


@dataclass(frozen=True)
class S3Access:
    """Credentials and address. Prints without a secret."""

    region: str | None = None
    endpoint_url: str | None = None
    aws_access_key_id: str | None = field(default=None, repr=False)
    aws_secret_access_key: str | None = field(default=None, repr=False)
    aws_session_token: str | None = field(default=None, repr=False)
    profile: str | None = None

    def client(self, config: Config | None) -> S3Client:
        """Make a client. A session of its own: boto3's default session is not thread-safe."""
        session = self._session()

        def make(settings: Config) -> S3Client:
            return session.client(
                "s3",
                endpoint_url=self.endpoint_url,
                config=settings if config is None else settings.merge(config),
            )

        if self.endpoint_url is None and is_aws(made := make(_CLIENT)):
            return made
        # Also where the environment or a profile names the address.
        return make(_CLIENT.merge(_CUSTOM_ENDPOINT))

    def options(self, library: Library) -> dict[str, Any]:
        """Return what a library needs to open the same bucket; see S3Storage."""
        key, secret, token = self._credentials()
        address = urlsplit(self.endpoint_url or "")
        plain = address.scheme == "http"
        named: dict[str, Any]
        match library:
            case "polars":
                named = {
                    "aws_access_key_id": key,
                    "aws_secret_access_key": secret,
                    "aws_session_token": token,
                    "aws_region": self.region,
                    "aws_endpoint_url": self.endpoint_url,
                    "aws_allow_http": "true" if plain else None,
                }
            case "pandas":
                client = {"endpoint_url": self.endpoint_url, "region_name": self.region}
                named = {
                    "key": key,
                    "secret": secret,
                    "token": token,
                    "client_kwargs": _set(client) or None,
                }
            case "pyarrow":
                named = {
                    "access_key": key,
                    "secret_key": secret,
                    "session_token": token,
                    "region": self.region,
                    "endpoint_override": address.netloc or None,
                    "scheme": "http" if plain else None,
                }
            case "duckdb":
                named = {
                    "key_id": key,
                    "secret": secret,
                    "session_token": token,
                    "region": self.region,
                    "endpoint": address.netloc or None,
                    "use_ssl": False if plain else None,
                    "url_style": "path" if self.endpoint_url else None,
                }
            case _:
                raise ValueError(f"no options are known for the library {library!r}")
        return _set(named)

    def _session(self) -> boto3.Session:
        return boto3.Session(
            aws_access_key_id=self.aws_access_key_id,
            aws_secret_access_key=self.aws_secret_access_key,
            aws_session_token=self.aws_session_token,
            region_name=self.region,
            profile_name=self.profile,
        )

    def _credentials(self) -> tuple[str | None, str | None, str | None]:
        """Return what was set, or what the profile holds, which other libraries may not read.

        Without either, nothing: each library finds environment and role by itself, and renews it.
        """
        if self.profile is None or self.aws_access_key_id is not None:
            return self.aws_access_key_id, self.aws_secret_access_key, self.aws_session_token
        found = self._session().get_credentials()
        if found is None:
            return None, None, None
        frozen = found.get_frozen_credentials()
        return frozen.access_key, frozen.secret_key, frozen.token


def is_aws(client: S3Client) -> bool:
    """Say whether AWS itself is asked, which understands every header of S3."""
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _set(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}

"""From configuration to a backend and to the keys where each stage finds its work.

The path functions are pure: same configuration, same key, no storage asked. Keys are relative
to the storage's root; ``StorageBackend.get_full_path`` makes paths or URIs of them.

    raw/active/coinbase       raw/ready/coinbase        raw/processing/coinbase
    raw/archive/coinbase      raw/quarantine/coinbase   raw/_lakes/coinbase.json
    processed/coinbase/level2   processed/coinbase/_commits   processed/coinbase/_rejects
"""

from __future__ import annotations

from typing import Literal

from pydantic import SecretStr

from fluxforge.config import StorageConfig
from fluxforge.errors import InvalidKeyError
from fluxforge.storage.base import StorageBackend
from fluxforge.storage.keys import check_key
from fluxforge.storage.local import LocalStorage

COMMITS = "_commits"
_LAKES = "_lakes"


def create_storage_backend(config: StorageConfig) -> StorageBackend:
    """Return the backend that the configuration names. Touches no disk and no network."""
    if config.backend == "local":
        return LocalStorage(config.base_dir)
    from fluxforge.storage.s3 import S3Storage  # noqa: PLC0415  # boto3, only where it is used

    bucket, prefix = config.bucket_and_prefix()
    return S3Storage(
        bucket,
        prefix,
        region=config.s3.region,
        endpoint_url=config.s3.endpoint_url,
        aws_access_key_id=_revealed(config.s3.aws_access_key_id),
        aws_secret_access_key=_revealed(config.s3.aws_secret_access_key),
        aws_session_token=_revealed(config.s3.aws_session_token),
        profile=config.s3.profile,
    )


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def get_ingestion_path(
    config: StorageConfig,
    source: str,
    state: Literal["active", "ready", "quarantine"] = "active",
) -> str:
    """Return where ingestion keeps a source's segments: open, sealed, or damaged."""
    match state:
        case "active":
            return _raw(config, config.paths.active_subdir, source)
        case "ready":
            return _raw(config, config.paths.ready_subdir, source)
        case "quarantine":
            return get_quarantine_path(config, source)


def get_etl_input_path(config: StorageConfig, source: str) -> str:
    """Return where the ETL finds sealed segments: what ingestion calls ready."""
    return get_ingestion_path(config, source, "ready")


def get_processing_path(config: StorageConfig, source: str) -> str:
    """Return where ETL workers put their claims."""
    return _raw(config, config.paths.processing_subdir, source)


def get_archive_path(config: StorageConfig, source: str) -> str:
    """Return where committed segments are archived."""
    return _raw(config, config.paths.archive_subdir, source)


def get_quarantine_path(config: StorageConfig, source: str) -> str:
    """Return where damaged segments are kept."""
    return _raw(config, config.paths.quarantine_subdir, source)


def get_registration_key(config: StorageConfig, source: str) -> str:
    """Return where it is written down which lake a source's segments become."""
    return f"{_key(config.paths.raw_dir, _LAKES, source)}.json"


def get_etl_output_path(config: StorageConfig, source: str, table: str | None = None) -> str:
    """Return where a source's tables lie, or one of them."""
    return _key(config.paths.processed_dir, source, *([] if table is None else [table]))


def get_commits_path(config: StorageConfig, source: str) -> str:
    """Return where a source's commit records lie."""
    return get_etl_output_path(config, source, COMMITS)


def _raw(config: StorageConfig, state: str, source: str) -> str:
    return _key(config.paths.raw_dir, state, source)


def _key(*components: str) -> str:
    for component in components:
        if "/" in component:
            raise InvalidKeyError(f"{component!a} must be one name, without '/'")
        check_key(component)
    return "/".join(components)

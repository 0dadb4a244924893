"""The shape of the configuration: every key, its default, its unit and what it may be.

The models check values; where a value comes from and how a mistake is told is ``loading``'s
business. A section that only repeats another one (the hybrid overrides) holds what was set and
nothing else: ``FluxForgeConfig.etl_output_storage()`` and its siblings fill in the rest.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from fluxforge.config.coinbase import CoinbaseConfig
from fluxforge.config.section import Section, address
from fluxforge.config.shard import ShardText
from fluxforge.errors import ConfigError

_COMPONENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_WRITER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,62}")
_MEMORY = Path("/dev/shm")  # noqa: S108 - below it a directory of the user's own
_S3_SCHEME = re.compile(r"s3://?")  # a path type on the way (--data-dir) eats one slash


def _component(value: str) -> str:
    if not _COMPONENT.fullmatch(value) or value.endswith("."):
        raise ValueError(
            "must be one directory name of letters, digits, '_', '-' and '.', "
            f"not beginning or ending with '.'; it is {value!r}"
        )
    return value


def _writer_id(value: str) -> str:
    if not _WRITER_ID.fullmatch(value):
        raise ValueError(
            f"must be up to 63 letters, digits and '-', not beginning with '-'; it is {value!r}"
        )
    return value


Component = Annotated[str, AfterValidator(_component)]
WriterId = Annotated[str, AfterValidator(_writer_id)]


class PathConfig(Section):
    """The directories below ``base_dir``; each is one name."""

    raw_dir: Component = Field("raw", description="raw segments")
    active_subdir: Component = Field("active", description="segments being written")
    ready_subdir: Component = Field("ready", description="sealed segments, waiting for the ETL")
    processing_subdir: Component = Field("processing", description="claims of ETL workers")
    archive_subdir: Component = Field("archive", description="committed segments, as zstd")
    quarantine_subdir: Component = Field("quarantine", description="damaged segments, kept")
    processed_dir: Component = Field("processed", description="the Parquet lake")


class S3Config(Section):
    """How to reach S3. Unset credentials come from the environment, ``~/.aws`` or an IAM role."""

    bucket: str | None = Field(None, description="repeats base_dir's bucket; if set, must match")
    region: str | None = Field(None, description="AWS region")
    endpoint_url: Annotated[str, address("http", "https")] | None = Field(
        None, description="address of an S3-compatible store; null is AWS"
    )
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = Field(None, validate_default=True)
    aws_session_token: SecretStr | None = None
    profile: str | None = Field(None, description="profile of ~/.aws")

    @field_validator("aws_secret_access_key")
    @classmethod
    def _key_and_secret(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        key = info.data.get("aws_access_key_id")
        if (key is None) != (secret is None):
            raise ValueError("aws_access_key_id and aws_secret_access_key are set together or not")
        return secret


class StorageConfig(Section):
    """Where everything lies."""

    backend: Literal["local", "s3"] = "local"
    base_dir: str = Field(
        "./data",
        validate_default=True,
        description="a directory (relative to where the command runs), or [s3://]bucket[/prefix]",
    )
    paths: PathConfig = PathConfig()
    s3: S3Config = S3Config()

    @field_validator("base_dir")
    @classmethod
    def _fits_backend(cls, value: str, info: ValidationInfo) -> str:
        if not value.strip() or not value.isprintable():
            raise ValueError("must not be empty or hold unprintable characters")
        backend = info.data.get("backend")  # absent if it was wrong itself
        if backend == "s3":
            split_bucket(value)
        elif backend == "local" and _S3_SCHEME.match(value):
            raise ValueError(f"is {value!r}, so storage backend must be s3 (it is local)")
        return value

    @field_validator("paths")
    @classmethod
    def _distinct_directories(cls, paths: PathConfig) -> PathConfig:
        # Compared without case: macOS and Windows would take `Ready` and `ready` for one.
        for group in (_top_level, _below_raw):
            names = [name.casefold() for name in group(paths)]
            if len(set(names)) < len(names):
                raise ValueError(f"names one directory twice: {', '.join(group(paths))}")
        return paths

    @field_validator("s3")
    @classmethod
    def _one_bucket(cls, s3: S3Config, info: ValidationInfo) -> S3Config:
        if info.data.get("backend") == "s3" and "base_dir" in info.data and s3.bucket is not None:
            bucket, _ = split_bucket(info.data["base_dir"])
            if s3.bucket != bucket:
                raise ValueError(
                    f"bucket is {s3.bucket!r} but base_dir names the bucket {bucket!r}: "
                    "remove one of them or make them equal"
                )
        return s3

    def bucket_and_prefix(self) -> tuple[str, str]:
        """Split ``base_dir`` into bucket and prefix ("" at the bucket's top)."""
        return split_bucket(self.base_dir)


def _top_level(paths: PathConfig) -> list[str]:
    return [paths.raw_dir, paths.processed_dir]


def _below_raw(paths: PathConfig) -> list[str]:
    return [
        paths.active_subdir,
        paths.ready_subdir,
        paths.processing_subdir,
        paths.archive_subdir,
        paths.quarantine_subdir,
    ]


def split_bucket(base_dir: str) -> tuple[str, str]:
    """Split ``[s3://]bucket[/prefix]``. Raises ValueError where it is not of that form."""
    scheme = _S3_SCHEME.match(base_dir)
    bucket, _, prefix = base_dir[scheme.end() if scheme else 0 :].partition("/")
    prefix = prefix.strip("/")
    parts = prefix.split("/") if prefix else []
    if not _BUCKET.fullmatch(bucket) or any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"must be bucket[/prefix] or s3://bucket[/prefix]; it is {base_dir!r}")
    return bucket, prefix


class StorageOverride(Section):
    """A storage of its own for one stage; what is not set here is as in ``storage``."""

    backend: Literal["local", "s3"] | None = None
    base_dir: str | None = None
    paths: PathConfig = PathConfig()
    s3: S3Config = S3Config()

    def over(self, base: StorageConfig) -> StorageConfig:
        """Return ``base`` with what is set here in place of its own."""
        merged = base.model_dump()
        for key in ("backend", "base_dir"):
            if (value := getattr(self, key)) is not None:
                merged[key] = value
        if self.base_dir is not None:
            merged["s3"]["bucket"] = None  # it repeated the base_dir that no longer holds
        merged["paths"] |= self.paths.model_dump(exclude_unset=True)
        merged["s3"] |= self.s3.model_dump(exclude_unset=True)
        return StorageConfig.model_validate(merged)


class IngestionConfig(Section):
    """Capture: from the socket to sealed segments."""

    storage: StorageOverride | None = Field(None, description="where raw goes; null: as storage")
    source: Component = Field("coinbase", description="the venue, a directory's name")
    writer_id: WriterId | None = Field(
        None, description="this writer's name; needed where writers share a storage (S3)"
    )
    shard: ShardText | None = Field(
        None, description="this machine's share of coinbase.products, as 1/3; null: all of them"
    )
    segment_max_mb: int = Field(256, ge=1, le=4096, description="seal at this size, MiB")
    segment_max_seconds: float = Field(3600, gt=0, le=86400, description="seal at this age, s")
    queue_max_mb: int = Field(64, ge=1, le=65536, description="frames waiting in memory, MiB")
    durability: Literal["fsync", "os"] = Field(
        "fsync", description="fsync: survives power loss; os: survives the process only"
    )
    on_full: Literal["block", "drop"] = Field(
        "block", description="queue full: stop reading the socket, or drop frames and record it"
    )
    min_free_mb: int = Field(
        512, ge=0, description="capture waits while the disk has less than this free, MiB"
    )
    spool_max_mb: int = Field(
        10240, ge=1, description="capture waits while more than this is not uploaded, MiB"
    )
    spool_dir: str | None = Field(
        None,
        description="where segments wait for upload; null: the user's state directory, or memory's",
    )
    spool: Literal["disk", "memory"] = Field(
        "disk", description="memory: spool_dir is a tmpfs, and durable means shipped"
    )
    ship_interval: float = Field(
        10, ge=0, le=3600, description="the open segment goes up this often, s; 0: once sealed"
    )
    ship_bytes: int = Field(
        8 << 20,
        ge=1 << 16,
        le=1 << 30,
        description="or whenever it has grown by so much, bytes; the most that one piece holds",
    )
    adopt_after: float = Field(
        300,
        ge=0,
        validate_default=True,
        description="finish other writers' segments that stood still so long, s; 0: never",
    )

    @field_validator("adopt_after")
    @classmethod
    def _patient(cls, seconds: float, info: ValidationInfo) -> float:
        interval = info.data.get("ship_interval", 0)
        if 0 < seconds <= interval:
            raise ValueError(
                f"must be 0 or more than ship_interval ({interval:g}): others only move that often"
            )
        return seconds

    @field_validator("ship_interval")
    @classmethod
    def _memory_is_shipped(cls, seconds: float, info: ValidationInfo) -> float:
        if seconds == 0 and info.data.get("spool") == "memory":
            raise ValueError("must not be 0 with ingestion.spool: memory: nothing would be durable")
        return seconds

    def spool_path(self) -> Path:
        """Return the directory where segments wait for upload to a remote storage."""
        if self.spool_dir is not None:
            return Path(self.spool_dir).expanduser()
        if self.spool == "memory":
            return _MEMORY / f"fluxforge-{os.getuid()}" / "spool"
        return platformdirs.user_state_path("fluxforge", appauthor=False) / "spool"


class ETLConfig(Section):
    """From sealed segments to committed Parquet."""

    storage_input: StorageOverride | None = Field(
        None, description="where raw is read; null: as storage"
    )
    storage_output: StorageOverride | None = Field(
        None, description="where the lake lies; null: as storage"
    )
    numbers: Literal["float64", "decimal"] = Field(
        "float64", description="float64, values it cannot hold counted; or decimal128(38,18)"
    )
    timestamp_unit: Literal["ns", "us"] = Field("ns", description="us for readers without ns")
    raw_retention: Literal["archive", "keep", "delete"] = Field(
        "archive", description="what becomes of a committed segment"
    )
    compression: Literal["zstd", "snappy", "lz4", "gzip", "none"] = "zstd"
    compression_level: int | None = Field(
        None, ge=1, le=22, description="for zstd (1 to 22) and gzip (1 to 9); null: its default"
    )
    workers: int = Field(
        1,
        ge=1,
        le=256,
        description="processes that `fluxforge etl` and `run` start on this machine",
    )
    memory_max_mb: int = Field(
        1024,
        ge=2,
        description="shared by a machine's workers; larger segments go in stretches that fit, MB",
    )
    poll_interval: float = Field(5, gt=0, description="pause between looks at ready/, s")
    poll_interval_max: float = Field(
        30, gt=0, description="the pause doubles up to this while there is nothing to do, s"
    )
    sweep_interval: float = Field(
        86400, gt=0, description="the lake is swept of what dead workers left this often, s"
    )
    sweep_grace: float = Field(3600, ge=0, description="what is younger than this is not swept, s")
    max_crashes: int = Field(
        3, ge=1, description="after so many workers died parsing a segment, a child tries it first"
    )
    lease: float = Field(30, gt=0, description="a silent worker's claim is taken over after, s")
    single_worker: bool = Field(
        default=False,
        description="never more than one ETL here: allow a store that can't tell two apart",
    )

    @field_validator("single_worker")
    @classmethod
    def _one_is_one(cls, single: bool, info: ValidationInfo) -> bool:  # noqa: FBT001  # pydantic's
        if single and info.data.get("workers", 1) > 1:
            raise ValueError(f"must be false with etl.workers: {info.data['workers']}")
        return single

    @field_validator("compression_level")
    @classmethod
    def _level_fits(cls, level: int | None, info: ValidationInfo) -> int | None:
        highest = {"zstd": 22, "gzip": 9}.get(info.data.get("compression", "zstd"))
        if level is not None and highest is None:
            raise ValueError(f"must be null: {info.data['compression']} has no levels")
        if level is not None and highest is not None and level > highest:
            raise ValueError(f"must be at most {highest} for {info.data['compression']}")
        return level


class OverrideError(ValueError):
    """A hybrid override that makes no sense once it has inherited from ``storage``."""

    def __init__(self, section: str, inner: ValidationError) -> None:
        super().__init__(f"{section}: {inner}")
        self.section = section
        self.inner = inner


class FluxForgeConfig(Section):
    """The whole configuration. ``load_config`` builds it from file, environment and flags."""

    storage: StorageConfig = StorageConfig()
    ingestion: IngestionConfig = IngestionConfig()
    etl: ETLConfig = ETLConfig()
    coinbase: CoinbaseConfig = CoinbaseConfig()

    @model_validator(mode="after")
    def _overrides_hold(self) -> Self:
        overrides: dict[str, Any] = {
            "ingestion.storage": self.ingestion.storage,
            "etl.storage_input": self.etl.storage_input,
            "etl.storage_output": self.etl.storage_output,
        }
        for section, override in overrides.items():
            try:
                self._storage(override)
            except ValidationError as problem:
                raise OverrideError(section, problem) from None
        return self

    def ingestion_storage(self) -> StorageConfig:
        """Return the storage that raw segments go to."""
        return self._storage(self.ingestion.storage)

    def etl_input_storage(self) -> StorageConfig:
        """Return the storage that the ETL reads raw segments from."""
        return self._storage(self.etl.storage_input)

    def etl_output_storage(self) -> StorageConfig:
        """Return the storage that the lake lies in."""
        return self._storage(self.etl.storage_output)

    def ingestion_writer_id(self) -> str | None:
        """Return the writer's id; ConfigError where raw is shared and none is set.

        Only capture asks: a machine that runs the ETL alone needs no id.
        """
        if self.ingestion.writer_id is None and self.ingestion_storage().backend == "s3":
            raise ConfigError(
                "ingestion.writer_id is not set, and raw goes to S3, where other writers may "
                "write too: give each writer a name of its own, e.g. writer_id: tokyo-1"
            )
        return self.ingestion.writer_id

    def etl_reads_what_is_recorded(self) -> bool:
        """Whether this configuration's ETL looks where its ingestion puts sealed segments."""
        return _place(self.ingestion_storage()) == _place(self.etl_input_storage())

    def _storage(self, override: StorageOverride | None) -> StorageConfig:
        return self.storage if override is None else override.over(self.storage)


def _place(config: StorageConfig) -> tuple[str, ...]:
    """What tells one place for sealed segments from another."""
    paths = config.paths.raw_dir, config.paths.ready_subdir
    if config.backend == "local":
        return ("local", str(Path(config.base_dir).expanduser().absolute()), *paths)
    return ("s3", config.s3.endpoint_url or "", *config.bucket_and_prefix(), *paths)

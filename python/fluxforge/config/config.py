"""Finding, merging and checking the configuration.

    defaults  <  one YAML file  <  environment FLUXFORGE__…  <  flags

The file is the first of: ``--config``, ``FLUXFORGE_CONFIG``, ``./config.yaml``,
``./config/config.yaml``, ``config.yaml`` in the user's configuration directory. None is fine.
Every problem of every source is found in one go and told in a line of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import SecretStr, ValidationError

from fluxforge.config.coinbase import CoinbaseConfig
from fluxforge.config.models import (
    ETLConfig,
    FluxForgeConfig,
    IngestionConfig,
    PathConfig,
    S3Config,
    StorageConfig,
    StorageOverride,
)
from fluxforge.config.problems import told
from fluxforge.config.sources import Setting, Source, from_environment, from_flags, from_yaml
from fluxforge.errors import ConfigError

__all__ = [
    "CoinbaseConfig",
    "ETLConfig",
    "FluxForgeConfig",
    "IngestionConfig",
    "LoadedConfig",
    "PathConfig",
    "Row",
    "S3Config",
    "StorageConfig",
    "StorageOverride",
    "default_yaml",
    "load_config",
    "load_config_with_sources",
]

HIDDEN = "********"
_FILE_VARIABLE = "FLUXFORGE_CONFIG"


@dataclass(frozen=True)
class Row:
    """One key for showing: its value (secrets hidden) and the place that set it."""

    key: str
    value: Any
    source: str


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration that knows where it comes from.

    Attributes:
        config: The configuration.
        path: The file that was read, if any.
        sources: The place that set each key; a key that is not in it has its default.
        warnings: What is allowed but probably not meant, one line each.
    """

    config: FluxForgeConfig
    path: Path | None
    sources: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def rows(self) -> Iterator[Row]:
        """Yield every key in order; an unset override as one row."""
        for key, value in _flat(self.config.model_dump()):
            inside_override = _override_of(key) is not None
            if inside_override and key not in self.sources:
                continue  # inherited: it has its row under storage
            shown = HIDDEN if isinstance(value, SecretStr) else value
            yield Row(key, shown, self.sources.get(key, "default"))


def load_config(
    path: Path | None = None, *, overrides: Mapping[str, Any] | None = None
) -> FluxForgeConfig:
    """Load the configuration from file, environment and overrides.

    Args:
        path: The file to read; it must exist. None searches the usual places.
        overrides: Nested as the configuration is; they win over everything. None values in it
            mean "not given".

    Raises:
        ConfigError: One line per problem, each naming place, key and what would be right.
    """
    return load_config_with_sources(path, overrides=overrides).config


def load_config_with_sources(
    path: Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """Load the configuration and remember where each value came from.

    Args:
        path: As for ``load_config``.
        overrides: As for ``load_config``.
        flags: The flag behind each dotted key of ``overrides``
            (``{"storage.base_dir": "--data-dir"}``).
        environ: The environment; None is the process's own.

    Raises:
        ConfigError: As for ``load_config``.
    """
    environ = os.environ if environ is None else environ
    found = _find(path, environ)
    sources = [
        from_yaml(found) if found else Source(),
        from_environment(environ),
        from_flags(overrides or {}, flags or {}),
    ]
    problems = [problem for source in sources for problem in source.problems]
    settings: dict[str, Setting] = {}
    for source in sources:
        settings |= source.settings
    places = {key: setting.where for key, setting in settings.items()}
    config = None
    try:
        config = FluxForgeConfig.model_validate(_nested(settings))
    except ValidationError as error:
        problems += told(error, places.get)
    if config is None or problems:
        # Outside the except clause: pydantic's error as context could show what we hide.
        raise ConfigError("\n".join(problems))
    return LoadedConfig(config, found, places, tuple(_warnings(config)))


def default_yaml() -> str:
    """Return the commented file that names every key with its default."""
    return resources.files("fluxforge.config").joinpath("config.yaml").read_text("utf-8")


def _find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = {"--config": path, _FILE_VARIABLE: Path(environ.get(_FILE_VARIABLE, ""))}
    for name, candidate in named.items():
        if candidate is None or candidate == Path():
            continue
        if not candidate.is_file():
            raise ConfigError(f"{candidate}: no such file ({name} names it)")
        return candidate
    usual = (
        Path("config.yaml"),
        Path("config", "config.yaml"),
        platformdirs.user_config_path("fluxforge", appauthor=False) / "config.yaml",
    )
    return next((candidate for candidate in usual if candidate.is_file()), None)


def _nested(settings: Mapping[str, Setting]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, setting in settings.items():
        *sections, name = key.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[name] = setting.value
    return tree


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _override_of(key: str) -> str | None:
    """Return the hybrid override that a key lies in."""
    sections = ("ingestion.storage", "etl.storage_input", "etl.storage_output")
    return next((section for section in sections if key.startswith(f"{section}.")), None)


def _warnings(config: FluxForgeConfig) -> Iterator[str]:
    stages = {
        "ingestion": config.ingestion_storage(),
        "the ETL's input": config.etl_input_storage(),
        "the ETL's output": config.etl_output_storage(),
    }
    drives = {
        storage.base_dir
        for storage in stages.values()
        if storage.backend == "local" and storage.base_dir[1:2] == ":"
    }
    if sys.platform != "win32":
        for base_dir in sorted(drives):
            yield (
                f"base_dir {base_dir!r} names a Windows drive; "
                f"here it is the directory {Path(base_dir).absolute()}"
            )
    if not config.etl_reads_what_is_recorded():
        yield (
            "ingestion.storage and etl.storage_input are different places: the ETL of this "
            "configuration does not see what its ingestion records"
        )
    if stages["ingestion"].backend == "s3" and config.ingestion.writer_id is None:
        yield "raw goes to S3: capture will not start without ingestion.writer_id"

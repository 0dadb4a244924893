"""Configuration: models, and loading them from file, environment and flags."""

from __future__ import annotations

from fluxforge.config.config import (
    CoinbaseConfig,
    ETLConfig,
    FluxForgeConfig,
    IngestionConfig,
    LoadedConfig,
    PathConfig,
    S3Config,
    StorageConfig,
    StorageOverride,
    default_yaml,
    load_config,
    load_config_with_sources,
)

__all__ = [
    "CoinbaseConfig",
    "ETLConfig",
    "FluxForgeConfig",
    "IngestionConfig",
    "LoadedConfig",
    "PathConfig",
    "S3Config",
    "StorageConfig",
    "StorageOverride",
    "default_yaml",
    "load_config",
    "load_config_with_sources",
]

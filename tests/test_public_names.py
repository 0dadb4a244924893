"""Every public name, from the package where users find it."""

from __future__ import annotations

import importlib

import pytest

PUBLIC = {
    "fluxforge": ["parse_segment", "scan"],
    "fluxforge.storage": ["StorageBackend", "LocalStorage", "S3Storage"],
    "fluxforge.storage.factory": [
        "create_storage_backend",
        "get_ingestion_path",
        "get_etl_input_path",
        "get_etl_output_path",
        "get_processing_path",
    ],
    "fluxforge.config": [
        "FluxForgeConfig",
        "StorageConfig",
        "PathConfig",
        "S3Config",
        "IngestionConfig",
        "ETLConfig",
        "load_config",
    ],
    "fluxforge.ingestion": ["LogWriter", "IngestionPipeline"],
    "fluxforge.ingestion.writers": ["LogWriter"],
    "fluxforge.ingestion.orchestrators": ["IngestionPipeline"],
    "fluxforge.etl": ["ETLJob"],
    "fluxforge.etl.readers": ["NDJSONReader", "parse_segment"],
    "fluxforge.etl.writers": ["ParquetWriter"],
    "fluxforge.etl.orchestrators": ["CoinbaseSegmentPipeline"],
    "fluxforge.etl.job": ["ETLJob"],
    "fluxforge.sim": ["SimulatedExchange"],
}


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package, names in PUBLIC.items() for name in names]
)
def test_public_name(package, name):
    value = getattr(importlib.import_module(package), name)
    assert value.__doc__, f"{package}.{name} has no docstring"


@pytest.mark.parametrize("package", ["fluxforge", "fluxforge.etl", "fluxforge.ingestion"])
def test_a_name_that_is_not_there_says_so(package):
    with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'nothing'"):
        importlib.import_module(package).nothing  # noqa: B018 - reading it is the test

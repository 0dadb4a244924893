"""The path functions are pure, and the factory alone knows which backend there is."""

from __future__ import annotations

import pytest

from fluxforge.config import StorageConfig
from fluxforge.errors import InvalidKeyError
from fluxforge.storage import LocalStorage, S3Storage
from fluxforge.storage import factory as paths

LOCAL = StorageConfig()
CUSTOM = StorageConfig.model_validate(
    {
        "paths": {
            "raw_dir": "ingested",
            "active_subdir": "streaming",
            "ready_subdir": "completed",
            "processing_subdir": "claims",
            "archive_subdir": "old",
            "quarantine_subdir": "bad",
            "processed_dir": "curated",
        }
    }
)
S3 = StorageConfig.model_validate(
    {
        "backend": "s3",
        "base_dir": "s3://bucket/prefix",
        "s3": {
            "region": "eu-central-1",
            "endpoint_url": "http://127.0.0.1:1",
            "aws_access_key_id": "AKIA",
            "aws_secret_access_key": "hunter2",
        },
    }
)


@pytest.mark.parametrize("config", [LOCAL, S3])
def test_keys_are_the_same_on_every_backend(config):
    assert paths.get_ingestion_path(config, "coinbase") == "raw/active/coinbase"
    assert paths.get_ingestion_path(config, "coinbase", "ready") == "raw/ready/coinbase"
    assert paths.get_ingestion_path(config, "coinbase", "quarantine") == "raw/quarantine/coinbase"
    assert paths.get_etl_input_path(config, "coinbase") == "raw/ready/coinbase"
    assert paths.get_processing_path(config, "coinbase") == "raw/processing/coinbase"
    assert paths.get_archive_path(config, "coinbase") == "raw/archive/coinbase"
    assert paths.get_quarantine_path(config, "coinbase") == "raw/quarantine/coinbase"
    assert paths.get_etl_output_path(config, "coinbase") == "processed/coinbase"
    assert paths.get_etl_output_path(config, "coinbase", "level2") == "processed/coinbase/level2"
    assert paths.get_commits_path(config, "coinbase") == "processed/coinbase/_commits"


def test_custom_paths_are_honoured():
    assert paths.get_ingestion_path(CUSTOM, "coinbase") == "ingested/streaming/coinbase"
    assert paths.get_etl_input_path(CUSTOM, "coinbase") == "ingested/completed/coinbase"
    assert paths.get_processing_path(CUSTOM, "coinbase") == "ingested/claims/coinbase"
    assert paths.get_archive_path(CUSTOM, "coinbase") == "ingested/old/coinbase"
    assert paths.get_quarantine_path(CUSTOM, "coinbase") == "ingested/bad/coinbase"
    assert paths.get_commits_path(CUSTOM, "coinbase") == "curated/coinbase/_commits"


@pytest.mark.parametrize("source", ["", "..", "a/b", "/a", "a\0", "a\\b"])
def test_a_source_is_one_name(source):
    with pytest.raises(InvalidKeyError):
        paths.get_ingestion_path(LOCAL, source)
    with pytest.raises(InvalidKeyError):
        paths.get_etl_output_path(LOCAL, "coinbase", source)


def test_the_local_backend_touches_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage = paths.create_storage_backend(LOCAL)
    assert isinstance(storage, LocalStorage)
    assert storage.get_full_path("raw") == str(tmp_path / "data" / "raw")
    assert list(tmp_path.iterdir()) == []


def test_the_s3_backend_asks_nothing_and_hides_its_secret():
    storage = paths.create_storage_backend(S3)
    assert isinstance(storage, S3Storage)
    assert storage.get_full_path("raw") == "s3://bucket/prefix/raw"
    assert "hunter2" not in repr(storage) + str(vars(storage))
    assert storage.get_storage_options("polars")["aws_secret_access_key"] == "hunter2"

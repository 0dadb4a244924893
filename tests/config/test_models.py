"""What the models mean: inheritance of the hybrid overrides, base_dir, shared storage."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from fluxforge.config import FluxForgeConfig, load_config_with_sources
from fluxforge.config.models import split_bucket
from fluxforge.errors import ConfigError


def config(**sections) -> FluxForgeConfig:
    return FluxForgeConfig.model_validate(sections)


def test_an_override_inherits_what_it_does_not_set():
    hybrid = config(
        storage={
            "backend": "s3",
            "base_dir": "one/deep",
            "paths": {"raw_dir": "in", "ready_subdir": "done"},
            "s3": {"bucket": "one", "region": "eu-central-1", "endpoint_url": "http://h:1"},
        },
        ingestion={"storage": {"backend": "local", "base_dir": "./spool"}},
        etl={
            "storage_input": {"paths": {"ready_subdir": "sealed"}},
            "storage_output": {"base_dir": "two", "s3": {"endpoint_url": None}},
        },
    )
    assert hybrid.ingestion_storage().backend == "local"
    assert hybrid.ingestion_storage().paths == hybrid.storage.paths
    etl_input = hybrid.etl_input_storage()
    assert etl_input.bucket_and_prefix() == ("one", "deep")
    assert (etl_input.paths.raw_dir, etl_input.paths.ready_subdir) == ("in", "sealed")
    output = hybrid.etl_output_storage()
    assert output.bucket_and_prefix() == ("two", "")
    assert (output.s3.region, output.s3.endpoint_url) == ("eu-central-1", None)


def test_without_overrides_every_stage_has_the_same_storage():
    plain = config(storage={"base_dir": "x"})
    assert plain.ingestion_storage() == plain.storage
    assert plain.etl_input_storage() == plain.storage
    assert plain.etl_output_storage() == plain.storage


def test_an_override_may_free_a_name_that_another_directory_takes():
    both = config(
        storage={"paths": {"ready_subdir": "done"}},
        etl={"storage_input": {"paths": {"active_subdir": "ready"}}},
    )
    assert both.etl_input_storage().paths.active_subdir == "ready"


def test_capture_to_s3_wants_a_name_and_the_etl_alone_does_not():
    shared = config(storage={"backend": "s3", "base_dir": "bucket"})
    with pytest.raises(ConfigError, match=r"ingestion\.writer_id is not set"):
        shared.ingestion_writer_id()
    shared.etl_input_storage()
    named = config(
        storage={"backend": "s3", "base_dir": "bucket"}, ingestion={"writer_id": "tokyo-1"}
    )
    assert named.ingestion_writer_id() == "tokyo-1"
    hybrid = config(
        storage={"backend": "s3", "base_dir": "bucket"},
        ingestion={"storage": {"backend": "local", "base_dir": "./data"}},
    )
    assert hybrid.ingestion_writer_id() is None


@pytest.mark.parametrize(
    ("base_dir", "expected"),
    [
        ("bucket", ("bucket", "")),
        ("bucket/", ("bucket", "")),
        ("bucket/prefix", ("bucket", "prefix")),
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/a/b/", ("bucket", "a/b")),
        (str(Path("s3://bucket/a")), ("bucket", "a")),
    ],
)
def test_bucket_and_prefix(base_dir, expected):
    assert split_bucket(base_dir) == expected
    assert config(storage={"backend": "s3", "base_dir": base_dir}).storage.backend == "s3"


@pytest.mark.parametrize("base_dir", ["s3://bucket/x", str(Path("s3://bucket/x"))])
def test_a_bucket_is_never_taken_for_a_directory(base_dir):
    with pytest.raises(ValidationError, match="backend must be s3"):
        config(storage={"base_dir": base_dir})


@pytest.mark.parametrize(
    "base_dir", ["./data", "F:/", "", "/bucket", "s3://", "s3:bucket", "b", "bucket/../x", "a//b"]
)
def test_what_is_no_bucket(base_dir):
    with pytest.raises(ValidationError):
        config(storage={"backend": "s3", "base_dir": base_dir})


def test_a_windows_drive_is_a_directory_here_and_we_say_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = load_config_with_sources(overrides={"storage": {"base_dir": "F:/"}}, environ={})
    assert loaded.config.storage.base_dir == "F:/"
    if sys.platform != "win32":
        assert len(loaded.warnings) == 1
        assert str(Path("F:").absolute()) in loaded.warnings[0]


def test_the_spool_lies_in_the_users_state_directory(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    if sys.platform == "linux":
        assert config().ingestion.spool_path() == Path("/state/fluxforge/spool")
    named = config(ingestion={"spool_dir": "~/spool"})
    assert named.ingestion.spool_path() == Path.home() / "spool"


def test_a_configuration_is_a_value():
    one = config(storage={"s3": {"aws_access_key_id": "a", "aws_secret_access_key": "b"}})
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(ValidationError):
        one.storage.base_dir = "elsewhere"


def test_a_single_worker_is_one():
    with pytest.raises(ValidationError, match=r"must be false with etl\.workers: 2"):
        FluxForgeConfig.model_validate({"etl": {"workers": 2, "single_worker": True}})
    FluxForgeConfig.model_validate({"etl": {"workers": 1, "single_worker": True}})

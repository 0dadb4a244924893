"""The two files that ship say what the models say."""

from __future__ import annotations

from importlib import resources

import pytest
import yaml

from fluxforge.config import FluxForgeConfig, default_yaml, load_config_with_sources
from fluxforge.config.schema import FIELDS, SECTIONS

OVERRIDES = ("ingestion.storage", "etl.storage_input", "etl.storage_output")
EXAMPLES = (
    resources.files("fluxforge.config")
    .joinpath("config.examples.yaml")
    .read_text("utf-8")
    .split("\n---\n")
)


def loaded(text, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(text, "utf-8")
    return load_config_with_sources(path, environ={})


def test_the_commented_file_names_every_key_with_its_default(tmp_path):
    file = loaded(default_yaml(), tmp_path)
    assert file.config == FluxForgeConfig()
    tree = yaml.safe_load(default_yaml())
    for key in FIELDS:
        if key.startswith(tuple(f"{each}." for each in OVERRIDES)):
            continue
        branch = tree
        for name in key.split("."):
            assert name in branch, f"{key} is missing in config.yaml"
            branch = branch[name]
    # Each value is really taken from the file, none from the model behind it.
    assert set(file.sources) == {
        key for key in FIELDS if key.count(".") and key not in SECTIONS
    } - {key for key in FIELDS if key.startswith(tuple(f"{each}." for each in OVERRIDES))}


def test_there_are_the_scenarios():
    assert len(EXAMPLES) == 7


@pytest.mark.parametrize(
    ("number", "key", "value"),
    [
        (0, "storage.backend", "local"),
        (1, "storage.base_dir", "my-datalake-bucket"),
        (2, "storage.paths.active_subdir", "streaming"),
        (3, "coinbase.level2_batch_size", 4),
        (4, "coinbase.channels", ("market_trades", "heartbeats")),
        (5, "etl.storage_output.base_dir", "my-lake"),
        (6, "etl.storage_input.base_dir", "my-raw"),
    ],
    ids=["all-local", "all-s3", "custom-paths", "multi-product", "minimal", "lake-s3", "raw-s3"],
)
def test_each_scenario_loads(tmp_path, number, key, value):
    scenario = loaded(EXAMPLES[number], tmp_path)
    assert {row.key: row.value for row in scenario.rows()}[key] == value
    assert scenario.warnings == ()
    scenario.config.ingestion_writer_id()


def test_switching_to_s3_takes_the_two_lines_of_the_seed(tmp_path):
    text = "storage:\n  backend: 's3'\n  base_dir: 'my-datalake-bucket'\n"
    switched = loaded(default_yaml().split("# -- capture")[0], tmp_path).config
    config = loaded(text, tmp_path).config
    assert config.storage.paths == switched.storage.paths
    assert config.etl_input_storage().bucket_and_prefix() == ("my-datalake-bucket", "")

"""The page about configuration says what the models say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from fluxforge.config import FluxForgeConfig, load_config_with_sources
from fluxforge.config.schema import FIELDS, SECTIONS
from fluxforge.errors import ConfigError

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
ROW = r"^\| `([a-z0-9_.]+)` \| `(.*?)` \|"
OVERRIDES = ("ingestion.storage", "etl.storage_input", "etl.storage_output")


def test_the_table_has_every_key_and_its_default():
    rows = dict(re.findall(ROW, PAGE.split("## All keys")[1], re.MULTILINE))
    expected = {
        key
        for key in FIELDS
        if (key not in SECTIONS or key in OVERRIDES)
        and not key.startswith(tuple(f"{each}." for each in OVERRIDES))
    }
    assert set(rows) == expected
    defaults = FluxForgeConfig().model_dump(mode="json")
    for key, told in rows.items():
        default = defaults
        for name in key.split("."):
            default = default[name]
        assert yaml.safe_load(f"[{told}]" if isinstance(default, list) else told) == default, key


def test_every_example_loads(tmp_path):
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for example in examples:
        path = tmp_path / "config.yaml"
        path.write_text(example, "utf-8")
        load_config_with_sources(path, environ={})


def test_the_mistakes_are_told_as_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("storage:\n  backnd: s3\n\n\n\n\n\netl:\n  numbers: float32\n")
    with pytest.raises(ConfigError) as caught:
        load_config_with_sources(environ={"FLUXFORGE__ETL__LEESE": "1"})
    for line in str(caught.value).splitlines():
        assert line in PAGE

"""A golden hash per recipe: the same segment gives the parts that it always gave."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from fluxforge.config import ETLConfig
from fluxforge.etl.orchestrators import CoinbaseSegmentPipeline
from fluxforge.storage import LocalStorage

SEGMENTS = Path(__file__).parents[1] / "data" / "segments"
GOLDEN = SEGMENTS / "parts.json"
RECIPES = {
    "defaults": {},
    "decimal": {"numbers": "decimal"},
    "microseconds": {"timestamp_unit": "us"},
    "snappy": {"compression": "snappy"},
    "zstd 9": {"compression_level": 9},
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_gives_the_parts_it_always_gave(tmp_path, name):
    shutil.copy(SEGMENTS / "documented.ndjson", tmp_path)
    pipeline = CoinbaseSegmentPipeline(
        LocalStorage(tmp_path), output_path="lake", settings=ETLConfig(**RECIPES[name])
    )
    commit = pipeline.run("documented.ndjson", segment="documented", uid="uid")
    found = {part.key("lake"): part.xxh3 for part in commit.parts}
    found |= dict.fromkeys(commit.rejects, "")  # the names have the hashes
    writer = commit.recipe["writer"]
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("FLUXFORGE_GOLDEN") == "write":
        golden.setdefault(writer, {})[name] = found
        GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    how_to_update = "if the change is meant, tests/data/segments/README.md says what to do"
    assert found == golden.get(writer, {}).get(name), how_to_update

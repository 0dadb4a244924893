"""A sealed segment to committed Parquet on disk, fsyncs included.

pytest benches --benchmark-only -k etl
"""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import corpus
import pytest

from fluxforge.config import FluxForgeConfig
from fluxforge.etl import ETLJob

_BYTES = 20_000_000
_RUNS = 5


@pytest.mark.parametrize("products", [20, 200])
def test_segment_to_parquet(benchmark, tmp_path, products):
    raw = tmp_path / "raw.ndjson"
    raw.write_bytes(corpus.generate(products=products, size=_BYTES))
    runs = itertools.count()

    def fresh() -> tuple[tuple[ETLJob, Path], dict[str, object]]:
        data_dir = tmp_path / f"run-{next(runs)}"
        ready = data_dir / "raw" / "ready" / "coinbase"
        ready.mkdir(parents=True)
        shutil.copy(raw, ready / "segment_20251203T14_00001.ndjson")
        storage = {"base_dir": str(data_dir)}
        config = FluxForgeConfig.model_validate(
            {"storage": storage, "etl": {"raw_retention": "delete"}}
        )
        return (ETLJob(config), data_dir), {}

    def run(job: ETLJob, _data_dir: Path) -> int:
        report = job.run_once()
        (commit,) = report.committed
        return commit.raw.bytes

    size = benchmark.pedantic(run, setup=fresh, rounds=_RUNS, warmup_rounds=1)
    last = max(tmp_path.glob("run-*"), key=lambda path: int(path.name.removeprefix("run-")))
    (commit,) = (last / "processed" / "coinbase" / "_commits").glob("*.json")
    parts = json.loads(commit.read_bytes())["parts"]
    benchmark.extra_info["MB/s"] = round(size / benchmark.stats["median"] / 1e6, 1)
    benchmark.extra_info["parts"] = len(parts)
    benchmark.extra_info["MB out"] = round(sum(part["bytes"] for part in parts) / 1e6, 2)

"""Segment to Arrow, one thread.

pytest benches/bench_parse.py --benchmark-only
"""

from __future__ import annotations

import pytest
from corpus import generate
from pytest_benchmark.fixture import BenchmarkFixture

from fluxforge.etl.readers import parse_segment
from fluxforge.etl.readers.parse import Numbers

MEGABYTES = 30


@pytest.mark.parametrize("numbers", ["float64", "decimal"])
@pytest.mark.parametrize("products", [20, 1000])
def test_parse(benchmark: BenchmarkFixture, products: int, numbers: Numbers) -> None:
    data = generate(products=products, size=MEGABYTES * 1_000_000)
    parsed = benchmark(parse_segment, data, numbers=numbers)
    assert parsed.balance.holds()
    assert parsed.balance.rejected == 0
    benchmark.extra_info["rows"] = sum(parsed.balance.rows.values())
    if benchmark.stats:  # none with --benchmark-disable
        benchmark.extra_info["MB/s"] = round(len(data) / 1e6 / benchmark.stats["median"])

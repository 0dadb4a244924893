"""The ETL behind a network that breaks at random: whatever happens, each row once."""

from __future__ import annotations

import random
from collections import Counter

import pytest

import fluxforge
from chaos_proxy import Fault, proxied
from fluxforge.config import FluxForgeConfig
from fluxforge.etl import ETLJob
from segments import level2, local, trade, write_segment

FAULTS = [fault for fault in Fault if fault not in {Fault.STALL, Fault.STALL_DOWN}]  # wait a minute
SEGMENTS = 4


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(
        "botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.001
    )


def frames(segment: int) -> list[bytes]:
    return [
        level2("BTC-USD", segment * 10, 100.5 + segment, 101.5 + segment),
        level2("ETH-USD", segment * 10 + 1, 10.25 + segment),
        trade("BTC-USD", segment * 10 + 2, f"t{segment}"),
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_network_that_breaks_at_random_changes_no_row(radosgw, tmp_path, seed):
    # radosgw, because it notices what a bit that flips on the way up has made of an object.
    chance = random.Random(seed)
    here, bucket = local(tmp_path / "here"), radosgw.bucket()
    direct = radosgw.storage(bucket=bucket)
    for number in range(SEGMENTS):
        path = write_segment(here, frames(number))
        direct.create_new_file(path, f"raw/ready/coinbase/{path.name}")
    with proxied(radosgw.endpoint) as proxy:
        settings = radosgw.config(bucket, endpoint_url=proxy.endpoint)
        config = FluxForgeConfig.model_validate({"storage": settings, "etl": {"lease": 0.01}})
        for _ in range(12):
            for method in ("GET", "PUT", "HEAD", "DELETE"):
                proxy.plan(
                    method,
                    *(chance.choice(FAULTS) if chance.random() < 0.4 else None for _ in range(40)),
                )
            # A new job each time, as after a crash: what the last one held is taken over.
            try:
                ETLJob(config).run_once()
            except fluxforge.errors.FluxForgeError as error:
                print("a pass ended with", error)
            if not direct.list_files("raw/ready", recursive=True):
                break
    assert direct.list_files("raw/ready", recursive=True) == []
    lake = FluxForgeConfig.model_validate({"storage": radosgw.config(bucket)})
    columns = ["product_id", "sequence_num", "price_level"]
    rows = Counter(fluxforge.scan(lake, "level2").select(columns).collect().iter_rows())
    assert rows == Counter(
        row
        for n in range(SEGMENTS)
        for row in (
            ("BTC-USD", n * 10, 100.5 + n),
            ("BTC-USD", n * 10, 101.5 + n),
            ("ETH-USD", n * 10 + 1, 10.25 + n),
        )
    )
    assert fluxforge.scan(lake, "market_trades").collect().height == SEGMENTS
    assert len(direct.list_files("raw/archive", recursive=True)) == SEGMENTS

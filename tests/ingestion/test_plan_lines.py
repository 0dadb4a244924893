"""``fluxforge ingest --plan``: all that it says, and that it connects to nothing."""

from __future__ import annotations

import pytest

from fluxforge.cli.ingest_plan import plan_lines
from fluxforge.config import FluxForgeConfig
from fluxforge.errors import ConfigError
from fluxforge.ingestion.orchestrators import plan_ingestion
from processes import run

PRODUCTS = tuple(f"P{i}-USD" for i in range(12))


def config(shard=None, **coinbase) -> FluxForgeConfig:
    return FluxForgeConfig.model_validate(
        {"ingestion": {"shard": shard}, "coinbase": {"products": PRODUCTS} | coinbase}
    )


def test_it_names_sockets_what_a_gap_taints_and_what_to_expect():
    lines = list(plan_lines(config(), events_per_second=10))
    assert lines[0] == "2 sockets to wss://advanced-trade-ws.coinbase.com"
    assert "8 messages, at most 8 a second over all" in lines[1]
    assert sum(line.startswith("  a gap taints 10 products: P0-USD") for line in lines) == 1
    assert "  a gap taints 2 products: P10-USD, P11-USD" in lines
    # 12 products: 10 level2 frames a second each, and a trade and a ticker for each fourth.
    assert "in all: 182 frames/s" in lines[-2]
    assert "GiB of raw a day" in lines[-2]
    assert "10 market events a second and product" in lines[-1]


def test_the_shards_of_all_machines_are_all_products():
    sockets = [socket for i in (1, 2, 3) for socket in plan_ingestion(config(f"{i}/3"))]
    recorded = [product for socket in sockets for product in socket.product_ids]
    assert sorted(recorded) == sorted(PRODUCTS)
    assert "(shard 2/3)" in next(plan_lines(config("2/3"), events_per_second=1))


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2", "1/3/5"])
def test_what_is_no_shard_is_refused(shard):
    with pytest.raises(ValueError, match="must be i/n"):
        config(shard)


def test_a_shard_with_nothing_to_do_says_so():
    with pytest.raises(ConfigError, match="none is left"):
        plan_ingestion(config("13/13"))


def test_more_level2_products_than_the_venue_takes_are_refused():
    assert len(plan_ingestion(config(level2_batch_size=30))) == 1
    with pytest.raises(ValueError, match="less than or equal to 30"):
        config(level2_batch_size=31)


def test_the_command_prints_it_and_connects_to_nothing(tmp_path):
    # Nothing listens there, and no directory is made.
    done = run("fluxforge", "ingest", "--plan", "--url", "ws://127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 socket to ws://127.0.0.1:1\n")
    assert not (tmp_path / "data").exists()

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest

import oracle
from fluxforge.sim import (
    DEFAULT_PRODUCTS,
    DIGEST_COLUMNS,
    SimulatedExchange,
    digest_rows,
    read_journal,
    summarise,
)
from sim.recorder import ALL_CHANNELS, recording

PRODUCTS = [product.id for product in DEFAULT_PRODUCTS]
GOLDEN = Path(__file__).parents[1] / "data" / "coinbase"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal") / "sent.ndjson"

    async def scenario() -> None:
        async with (
            SimulatedExchange(
                rate=0, journal=path, heartbeat_interval=0.1, batch_interval=0.2
            ) as exchange,
            recording(exchange.url) as client,
        ):
            for channel in ALL_CHANNELS:
                await client.subscribe(channel, *PRODUCTS)
            await client.subscribe("nonsense")
            await client.until(lambda frames: len(frames) > 5000)

    asyncio.run(scenario())
    return path


def test_the_summary_and_the_independent_oracle_count_the_same(journal: Path) -> None:
    summary = summarise(journal)
    frames = list(oracle.journal_frames(journal))
    assert summary.frames == len(frames) == sum(summary.frames_by_channel.values())
    assert summary.frames_by_channel["error"] == 1
    rows = oracle.expected_rows(frames)
    assert summary.rows_by_table == {table: rows[table].total() for table in rows}
    assert set(rows) == {"level2", "ticker", "market_trades", "candles", "status"}
    counts = oracle.expected_counts(frames)
    assert (
        sum(n for (channel, _), n in counts.items() if channel == "l2_data")
        == (summary.rows_by_table["level2"])
    )


def test_both_digests_come_out_the_same_from_rows_in_any_order(journal: Path) -> None:
    frames = list(oracle.journal_frames(journal))
    rows = {
        table: list(counter.elements()) for table, counter in oracle.expected_rows(frames).items()
    }
    summary = summarise(journal)
    for table, digest in oracle.expected_digests(frames).items():
        assert oracle.digest(rows[table][::-1]) == digest
        places = [oracle.COLUMNS[table].index(column) for column in DIGEST_COLUMNS[table]]
        again = [tuple(row[place] for place in places) for row in rows[table][::-1]]
        assert digest_rows(again) == summary.digests_by_table[table]


@pytest.mark.parametrize("table", list(DIGEST_COLUMNS))
def test_a_row_lost_doubled_or_altered_shows_in_both_digests(journal: Path, table: str) -> None:
    rows = list(oracle.expected_rows(oracle.journal_frames(journal))[table].elements())
    altered = [*rows[1:], (*rows[0][:-1], 0.125)]
    for digest in (digest_rows, oracle.digest):
        assert len({digest(case) for case in (rows, rows[1:], [*rows, rows[0]], altered)}) == 4


def test_numbers_compare_as_float64_whatever_carries_them() -> None:
    assert digest_rows([("X", 1, 68900.5)]) == digest_rows([("X", 1, Decimal("68900.50"))])
    assert digest_rows([("X", 1, None)]) != digest_rows([("X", 1, 0.0)])
    # Pinned (checked with `b2sum -l 64`): two versions must agree on a digest.
    assert digest_rows([("BTC-USD", 7, "bid", 68900.5, 0.0)]) == 3_192_544_213_813_071_653


def test_the_oracle_reads_the_golden_frames() -> None:
    def rows(name: str) -> list[oracle.Row]:
        return [row for _, row in oracle.rows_of(json.loads((GOLDEN / f"{name}.json").read_text()))]

    assert rows("l2_update_future_live")[2] == (
        *("BIP-20DEC30-CDE", 229, 1_772_701_532_483_569_449, 2, "update"),
        *("offer", 1_772_701_532_449_176_000, 72580.0, 13.0),
    )
    assert len(rows("l2_snapshot")) == 6
    assert rows("ticker")[0][-4:] == (68900.0, 1.5, 68901.0, 0.5)
    assert rows("market_trades")[1][-5:-1] == ("995098701", 68900.0, 0.05, "SELL")
    assert rows("candles")[0][5] == 1_775_521_800
    assert rows("heartbeats") == rows("subscriptions") == rows("error") == []
    assert oracle.nanoseconds("1970-01-01T00:00:00Z") is None
    assert oracle.nanoseconds("0001-01-01T00:00:00Z") is None


def test_a_line_that_is_no_journal_line_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "j").write_text('{"conn":1}\n')
    with pytest.raises(ValueError, match="line 1"):
        list(read_journal(tmp_path / "j"))

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxforge.sim import choose_products, render
from fluxforge.sim.market import Market
from fluxforge.sim.wire import decimal_text, envelope, go_time, rfc3339

GOLDEN = Path(__file__).parents[1] / "data" / "coinbase"
NOW = 1_775_572_200_123_456_789


@pytest.mark.parametrize(
    ("units", "scale", "text"),
    [
        (0, 8, "0"),
        (6_428_170, 2, "64281.7"),
        (6_345_400, 2, "63454"),
        (1234, 8, "0.00001234"),
        (100, 0, "100"),
        (18_456_712_345_678_901, 4, "1845671234567.8901"),
    ],
)
def test_decimals_are_trimmed(units: int, scale: int, text: str) -> None:
    assert decimal_text(units, scale) == text


@given(st.integers(0, 10**22), st.integers(0, 12))
def test_a_decimal_keeps_its_value_and_has_no_needless_zero(units: int, scale: int) -> None:
    text = decimal_text(units, scale)
    assert Decimal(text) == Decimal(units).scaleb(-scale)
    assert re.fullmatch(r"(0|[1-9]\d*)(\.\d*[1-9])?", text)


@pytest.mark.parametrize(
    ("fraction", "tail"), [(0, "25Z"), (50_000_000, "25.05Z"), (278_662_782, "25.278662782Z")]
)
def test_times_have_as_many_digits_as_they_need(fraction: int, tail: str) -> None:
    text = rfc3339(1_775_572_225 * 10**9 + fraction)
    assert text == f"2026-04-07T14:30:{tail}"


def test_heartbeats_tell_the_time_as_go_does() -> None:
    ns = 1_788_824_242_674_409_000
    assert go_time(ns, 139_651_270_000_000) == ("2026-09-07 23:37:22.674409 +0000 UTC m=+139651.27")


@pytest.mark.parametrize(
    ("before", "now", "text"), [(3, 3, "0"), (200, 201, "0.5"), (3, 2, "-33.3333333333333")]
)
def test_percent_change(before: int, now: int, text: str) -> None:
    assert render.percent_change(before, now) == text


def shape(value: object) -> object:
    """Key order and types: what a golden frame and ours must have in common."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_every_kind_of_frame_has_the_shape_of_the_golden_one() -> None:
    market = Market(choose_products(["BTC-USD"]), seed=1, levels=100)
    moves = [move for n in range(50) for move in market.step(NOW + n)]
    move = next(move for move in moves if move.trades and move.bids)
    btc = market.products["BTC-USD"]
    bodies = {
        "candles": ("candles", render.candles("update", [btc], NOW)),
        "heartbeats": ("heartbeats", render.heartbeat(NOW, 5, 42)),
        "l2_snapshot": ("l2_data", render.level2_snapshot(btc)),
        "l2_update": ("l2_data", render.level2_update(move)),
        "market_trades": ("market_trades", render.trades_update(btc, move.trades)),
        "ticker": ("ticker", render.tickers("snapshot", [btc], best=True)),
    }
    for name, (channel, body) in bodies.items():
        text = envelope(channel, NOW, 7, body, "")
        golden = (GOLDEN / f"{name}.json").read_text().strip()
        assert shape(json.loads(text)) == shape(json.loads(golden)), name
        # Not a blank between tokens, as on the wire.
        assert re.sub(r'"[^"]*"', "", text).count(" ") == 0
    ack = render.subscriptions({"level2": ["BTC-USD"], "market_trades": ["BTC-USD", "ETH-USD"]})
    golden_ack = json.loads((GOLDEN / "subscriptions.json").read_text())
    assert json.loads(envelope("subscriptions", NOW, 0, ack, "")) | {"timestamp": ""} == (
        golden_ack | {"timestamp": ""}
    )


def test_the_client_id_is_there_or_not() -> None:
    assert list(json.loads(envelope("ticker", NOW, 0, "", None))) == [
        "channel",
        "timestamp",
        "sequence_num",
        "events",
    ]
    assert list(json.loads(envelope("ticker", NOW, 0, "", "x")))[1] == "client_id"

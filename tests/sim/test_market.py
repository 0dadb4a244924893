import itertools
import json
from decimal import Decimal

import pytest

from fluxforge.sim import DEFAULT_PRODUCTS, choose_products, render
from fluxforge.sim.market import Market

START = 1_775_000_000_000_000_000


def story(seed: int, *, steps: int = 400, levels: int = 100) -> list[str]:
    market = Market(DEFAULT_PRODUCTS, seed=seed, levels=levels)
    told = [render.level2_snapshot(product) for product in market.products.values()]
    for number in range(steps):
        for move in market.step(START + number * 1_000_003):
            told += [
                render.level2_update(move),
                render.trades_update(move.market, move.trades),
                render.tickers("update", [move.market], best=True),
                render.candles("update", [move.market], move.time_ns),
            ]
    return told


def test_the_same_seed_tells_the_same_story_and_another_seed_another() -> None:
    assert story(1) == story(1)
    assert story(1) != story(2)


def apply(book: dict[str, dict[Decimal, Decimal]], updates: list[dict[str, str]]) -> None:
    for update in updates:
        side = book[update["side"]]
        price, quantity = Decimal(update["price_level"]), Decimal(update["new_quantity"])
        if quantity:
            side[price] = quantity
        else:
            side.pop(price, None)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_client_rebuilds_the_book_it_is_never_crossed_and_trades_and_ticker_agree(
    seed: int,
) -> None:
    market = Market(DEFAULT_PRODUCTS, seed=seed, levels=200)
    books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
    for name, product in market.products.items():
        books[name] = {"bid": {}, "offer": {}}
        apply(books[name], json.loads(render.level2_snapshot(product))["updates"])
    update_sizes, trades_seen, unknown_deletes = set(), 0, 0
    for number in range(20_000):
        for move in market.step(START + number * 1_000_000):
            name = move.market.product.id
            book = books[name]
            trades = json.loads(render.trades_update(move.market, move.trades))["trades"]
            # Only what level2 says may change the book; the trades are followed on a copy.
            after = {side: dict(levels) for side, levels in book.items()} if trades else {}
            for trade in trades:
                # The maker's order rests at this price, with at least this size, right now.
                resting = after["offer" if trade["side"] == "SELL" else "bid"]
                best = min(resting) if trade["side"] == "SELL" else max(resting)
                assert Decimal(trade["price"]) == best
                assert Decimal(trade["size"]) <= resting[best]
                if Decimal(trade["size"]) == resting[best]:
                    del resting[best]
                else:
                    resting[best] -= Decimal(trade["size"])
            trades_seen += len(trades)
            updates = json.loads(render.level2_update(move))["updates"]
            update_sizes.add(len(updates))
            unknown_deletes += sum(
                update["new_quantity"] == "0"
                and Decimal(update["price_level"]) not in book[update["side"]]
                and update["price_level"] not in {trade["price"] for trade in trades}
                for update in updates
            )
            apply(book, updates)
            assert max(book["bid"]) < min(book["offer"])
            assert min(book["bid"]) > 0
            ticker = json.loads(render.tickers("update", [move.market], best=True))["tickers"][0]
            assert Decimal(ticker["best_bid"]) == max(book["bid"])
            assert Decimal(ticker["best_ask"]) == min(book["offer"])
            assert Decimal(ticker["best_bid_quantity"]) == book["bid"][max(book["bid"])]
            assert Decimal(ticker["best_ask_quantity"]) == book["offer"][min(book["offer"])]
            if trades:
                assert ticker["price"] == trades[-1]["price"]
    for name, product in market.products.items():
        fresh: dict[str, dict[Decimal, Decimal]] = {"bid": {}, "offer": {}}
        apply(fresh, json.loads(render.level2_snapshot(product))["updates"])
        assert books[name] == fresh
    assert min(update_sizes) == 1
    assert 20 <= max(update_sizes) <= 30
    assert trades_seen > 3000
    assert unknown_deletes > 0


def test_prices_and_depths_stay_plausible_over_a_long_run() -> None:
    market = Market(choose_products(["BTC-USD", "BONK-USD"]), seed=5, levels=600)
    depths = {name: len(product.bids) for name, product in market.products.items()}
    for number in range(60_000):
        market.step(START + number * 1_000_000)
    for name, product in market.products.items():
        assert product.anchor * 0.5 < product.last < product.anchor * 2
        assert 0 < -(product.bids.best + product.offers.best) < product.anchor * 0.1
        for side in (product.bids, product.offers):
            assert 0.5 < len(side) / depths[name] < 1.5
            assert side.keys == sorted(side.levels)


def test_products_are_of_very_different_activity() -> None:
    market = Market(DEFAULT_PRODUCTS, seed=1, levels=100)
    moved = [move.market.product.id for n in range(10_000) for move in market.step(START + n)]
    assert moved.count("BTC-USD") > 10 * moved.count("BIP-20DEC30-CDE") > 0
    prices = [Decimal(product.price) for product in DEFAULT_PRODUCTS]
    assert len(prices) == 20
    assert max(prices) / min(prices) > 10**9


def test_trades_are_numbered_per_product_and_candles_agree_with_them() -> None:
    market = Market(choose_products(["ETH-USD"]), seed=1, levels=100)
    # 61 minutes, an event a second: thirteen buckets.
    moves = [move for n in range(3660) for move in market.step(START + n * 10**9)]
    trades = [trade for move in moves for trade in move.trades]
    assert all(b.trade_id == a.trade_id + 1 for a, b in itertools.pairwise(trades))
    bucket = (START // 10**9 + 3659) // 300 * 300
    inside = [trade for trade in trades if trade.time_ns >= bucket * 10**9]
    candle = json.loads(render.candles("update", market.products.values(), START + 3659 * 10**9))[
        "candles"
    ][0]
    assert candle["start"] == str(bucket)
    assert Decimal(candle["volume"]) == Decimal(sum(t.units for t in inside)).scaleb(-8)
    assert Decimal(candle["close"]) == Decimal(inside[-1].ticks).scaleb(-2)
    assert Decimal(candle["high"]) >= Decimal(max(t.ticks for t in inside)).scaleb(-2)


def test_the_deepest_snapshot_is_as_large_as_the_live_one() -> None:
    market = Market(choose_products(["BTC-USD"]), seed=1, levels=44_000)
    text = render.level2_snapshot(market.products["BTC-USD"])
    updates = json.loads(text)["updates"]
    assert len(updates) == 44_000
    assert 4_000_000 < len(text) < 6_000_000
    assert {update["event_time"] for update in updates} == {"1970-01-01T00:00:00Z"}

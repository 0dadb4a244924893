"""A seeded corpus in Coinbase's manner: the same seed gives the same bytes.

By messages 85 % level2 updates of 1 to 30 levels, 8 % ticker, 6 % trades, 1 % heartbeats; each
product's snapshot first. Few products are busy and many are quiet, as on the real feed.

    python benches/corpus.py --products 20 --megabytes 100 > corpus.ndjson
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from itertools import accumulate

_START_NS = 1_764_770_400_000_000_000  # 2025-12-03T14:00:00Z
_BUSIEST = ["BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "DOGE-USD"]
_SNAPSHOT_LEVELS = 20_000  # of all products together


def generate(
    *, products: int = 20, size: int = 10_000_000, seed: int = 7, shuffled: bool = False
) -> bytes:
    """Return whole envelope lines of at least ``size`` bytes, snapshots included.

    ``shuffled`` puts the keys of every object in an order of their own, the envelope's too.
    """
    rng = random.Random(seed)
    pieces: list[bytes] = []
    total = 0
    for ordered in lines(products=products, seed=seed):
        line = _shuffle(ordered, rng) if shuffled else ordered
        pieces.append(line)
        total += len(line)
        if total >= size:
            break
    return b"".join(pieces)


def lines(*, products: int, seed: int) -> Iterator[bytes]:
    """Yield envelope lines for ever."""
    rng = random.Random(seed)
    names = (_BUSIEST + [f"C{n:04}-USD" for n in range(products)])[:products]
    prices = {name: 10 ** rng.uniform(-2, 5) for name in names}
    weights = list(accumulate(1 / (rank + 1) for rank in range(products)))
    now, sequence, trade = _START_NS, 0, 995_098_700

    def line(channel: str, events: str) -> bytes:
        nonlocal now, sequence
        now += rng.randrange(20_000, 2_000_000)
        frame = (
            f'{{"channel":"{channel}","client_id":"","timestamp":"{_time(now - 3_000_000)}",'
            f'"sequence_num":{sequence},"events":[{events}]}}'
        )
        sequence += 1
        return f'{{"capture_ts":"{_time(now)}","conn":"c0","data":{frame}}}\n'.encode()

    depth = max(1, _SNAPSHOT_LEVELS // products)
    for name in names:
        yield line(
            "l2_data",
            _level2(rng, name, prices[name], "snapshot", levels=depth, now=None),
        )
    while True:
        (name,) = rng.choices(names, cum_weights=weights)
        price = prices[name] = prices[name] * (1 + rng.gauss(0, 1e-4))
        kind = rng.random()
        if kind < 0.85:
            # Most updates are short; some carry many levels.
            levels = min(30, 1 + int(rng.expovariate(1 / 7)))
            yield line("l2_data", _level2(rng, name, price, "update", levels=levels, now=now))
        elif kind < 0.93:
            yield line("ticker", _ticker(rng, name, price))
        elif kind < 0.99:
            trade += 1
            yield line("market_trades", _trade(rng, name, price, trade, now))
        else:
            beat = f'{{"current_time":"{_time(now)}","heartbeat_counter":{sequence}}}'
            yield line("heartbeats", beat)


def _shuffle(line: bytes, rng: random.Random) -> bytes:
    def mixed(pairs: list[tuple[str, object]]) -> dict[str, object]:
        rng.shuffle(pairs)
        return dict(pairs)

    value = json.loads(line, object_pairs_hook=mixed)
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _level2(
    rng: random.Random, name: str, price: float, kind: str, *, levels: int, now: int | None
) -> str:
    when = "1970-01-01T00:00:00Z" if now is None else _time(now // 1000 * 1000)
    updates = []
    for _ in range(levels):
        side = rng.choice(("bid", "offer"))
        away = rng.expovariate(2000) * (-1 if side == "bid" else 1)
        quantity = "0" if now and rng.random() < 0.3 else _decimal(rng.expovariate(2), 8)
        updates.append(
            f'{{"side":"{side}","event_time":"{when}","price_level":"{_price(price * (1 + away))}",'
            f'"new_quantity":"{quantity}"}}'
        )
    return f'{{"type":"{kind}","product_id":"{name}","updates":[{",".join(updates)}]}}'


def _ticker(rng: random.Random, name: str, price: float) -> str:
    return (
        f'{{"type":"update","tickers":[{{"type":"ticker","product_id":"{name}",'
        f'"price":"{_price(price)}","volume_24_h":"{_decimal(rng.uniform(1, 2e5), 8)}",'
        f'"low_24_h":"{_price(price * 0.97)}","high_24_h":"{_price(price * 1.04)}",'
        f'"low_52_w":"{_price(price * 0.4)}","high_52_w":"{_price(price * 1.7)}",'
        f'"price_percent_chg_24_h":"{_decimal(rng.gauss(0, 3), 14)}",'
        f'"best_bid":"{_price(price * 0.9999)}","best_bid_quantity":"{_decimal(rng.random(), 8)}",'
        f'"best_ask":"{_price(price * 1.0001)}","best_ask_quantity":"{_decimal(rng.random(), 8)}"'
        "}]}"
    )


def _trade(rng: random.Random, name: str, price: float, trade: int, now: int) -> str:
    return (
        f'{{"type":"update","trades":[{{"product_id":"{name}","trade_id":"{trade}",'
        f'"price":"{_price(price)}","size":"{_decimal(rng.expovariate(10), 8)}",'
        f'"time":"{_time(now // 1000 * 1000)}","side":"{rng.choice(("BUY", "SELL"))}"}}]}}'
    )


def _price(value: float) -> str:
    return _decimal(value, 2 if value >= 10 else 6)


def _decimal(value: float, digits: int) -> str:
    """As the venue writes decimals: trailing zeros trimmed."""
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def _time(nanoseconds: int) -> str:
    """RFC 3339 with the fraction's trailing zeros trimmed; all within one day of 2025-12-03."""
    seconds, fraction = divmod(nanoseconds - _START_NS + 14 * 3600 * 10**9, 10**9)
    day, seconds = divmod(seconds, 86_400)
    text = f"{fraction:09}".rstrip("0")
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"2025-12-{3 + day:02}T{clock}{'.' + text if text else ''}Z"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=20)
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    size = int(chosen.megabytes * 1e6)
    sys.stdout.buffer.write(generate(products=chosen.products, size=size, seed=chosen.seed))


if __name__ == "__main__":
    main()

"""The market itself: pure, deterministic under a seed, no clock of its own.

Each product is a process with its own random numbers: a resting book that is never crossed, takers
that hit its best levels, quotes that come and go. Prices are drawn back to where they began, so
a simulation of any length stays plausible.
"""

from __future__ import annotations

from bisect import bisect
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from random import Random

from fluxforge.sim.book import BookSide
from fluxforge.sim.products import Product
from fluxforge.sim.wire import NANOSECONDS, decimal_text

CANDLE_SECONDS = 300
RECENT_TRADES = 50
FEWEST_LEVELS = 4
LONGEST_SWEEP = 3  # levels
WIDEST_SPREAD = 12  # ticks; a wider one is narrowed at once
CACHED_PRICES = 200_000

# Probabilities, per event, per level hit by a taker, and per quote.
TRADE = 0.25
SHARED_FRAME = 0.02
SWEEP_LEVEL = 0.3
BID = 0.5
IMPROVE = 0.1
DELETE_UNKNOWN = 0.01
PLACE = 0.29
CANCEL = 0.3
# How many quotes change in one event: mostly few, at times a whole ladder.
QUOTES_PER_EVENT = (1,) * 24 + (2,) * 18 + (3,) * 9 + (4,) * 6 + (6,) * 3 + (9, 14, 20, 27)


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade. ``maker`` is the side of the order that was resting: BUY or SELL."""

    trade_id: int
    ticks: int
    units: int
    maker: str
    time_ns: int


@dataclass(slots=True)
class Candle:
    """The open five-minute bucket; prices in ticks, volume in units."""

    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """What one event did to one product.

    Attributes:
        market: The product's market, as it stands after the event.
        time_ns: When it happened.
        bids: Changed bid levels, key (ticks) to absolute units.
        offers: Changed offer levels, key (negative ticks) to absolute units.
        trades: Trades, in the order in which they happened.
    """

    market: ProductMarket
    time_ns: int
    bids: dict[int, int]
    offers: dict[int, int]
    trades: tuple[Trade, ...]


class ProductMarket:
    """Book, trades and statistics of one product."""

    def __init__(self, product: Product, *, seed: int, levels: int) -> None:
        self.product = product
        # Seeding with text is stable across processes and versions, unlike hash().
        self._rng = Random(f"{seed}/{product.id}")  # noqa: S311 (a simulation, not a secret)
        self.anchor = int(Decimal(product.price) / Decimal(product.quote_increment))
        self.last = self.open_24_h = self.anchor
        self.high_24_h, self.low_24_h = self.anchor + self.anchor // 40, self.anchor * 39 // 40
        self.high_52_w, self.low_52_w = self.anchor * 2, max(1, self.anchor // 3)
        self.volume_24_h = int(Decimal(product.volume_24_h).scaleb(product.quantity_scale))
        self.trades: deque[Trade] = deque(maxlen=RECENT_TRADES)
        self.candle: Candle | None = None
        self.bids, self.offers = BookSide(), BookSide()
        self._trade_id = 100_000_000 + self._rng.randrange(900_000_000)
        # A typical order is worth about 2,000 in the quote currency.
        self._typical = max(1, self.volume_24_h // 20_000 // product.lot)
        # Bids must stay above zero however cheap the product is.
        self._depth = max(FEWEST_LEVELS * 2, min(levels // 2, self.anchor // 3))
        self._price_texts: dict[int, str] = {}
        self._fill()

    def _fill(self) -> None:
        rng = self._rng
        for side, best in ((self.bids, self.anchor - 1), (self.offers, -self.anchor - 1)):
            key = best
            widest = 3 if self.anchor > self._depth * 4 else 1
            for _ in range(self._depth):
                side.put(key, self._order_size())
                key -= rng.randint(1, widest)
                if side is self.bids and key < 1:
                    break

    def _order_size(self) -> int:
        size = 1 + int(self._typical * 4 * self._rng.random() ** 3)
        return size * self.product.lot

    def price_text(self, key: int) -> str:
        """Write the price of a level's key (the sign tells the side only)."""
        text = self._price_texts.get(key)
        if text is None:
            if len(self._price_texts) > CACHED_PRICES:
                self._price_texts.clear()
            text = decimal_text(abs(key) * self.product.tick, self.product.price_scale)
            self._price_texts[key] = text
        return text

    def quantity_text(self, units: int) -> str:
        """Write a quantity."""
        return decimal_text(units, self.product.quantity_scale)

    def step(self, now_ns: int) -> Move:
        """Let one event happen."""
        rng = self._rng
        bids: dict[int, int] = {}
        offers: dict[int, int] = {}
        trades: tuple[Trade, ...] = ()
        if rng.random() < TRADE:
            trades = self._take(now_ns, bids, offers)
        for _ in range(QUOTES_PER_EVENT[int(rng.random() * len(QUOTES_PER_EVENT))]):
            if rng.random() < BID:
                self._quote(self.bids, self.offers, bids)
            else:
                self._quote(self.offers, self.bids, offers)
        return Move(self, now_ns, bids, offers, trades)

    def _take(self, now_ns: int, bids: dict[int, int], offers: dict[int, int]) -> tuple[Trade, ...]:
        """Let a taker hit the best levels of one side."""
        rng = self._rng
        # The further the price strayed, the likelier the next taker brings it back.
        pull = (self.anchor - self.last) / self.anchor * 20
        buys = rng.random() < 0.5 + max(-0.4, min(0.4, pull))
        side, changed, maker = (self.offers, offers, "SELL") if buys else (self.bids, bids, "BUY")
        trades = []
        for _ in range(LONGEST_SWEEP):
            key = side.best
            resting = side.levels[key]
            lots = resting // self.product.lot
            whole = rng.random() < SWEEP_LEVEL and len(side) > FEWEST_LEVELS
            if not whole and lots == 1:
                break
            taken = resting if whole else (1 + int(rng.random() * (lots - 1))) * self.product.lot
            side.put(key, resting - taken)
            changed[key] = resting - taken
            trades.append(self._trade(abs(key), taken, maker, now_ns))
            if not whole:
                break
        return tuple(trades)

    def _trade(self, ticks: int, units: int, maker: str, now_ns: int) -> Trade:
        self._trade_id += 1
        # The venue stamps trades in microseconds.
        trade = Trade(self._trade_id, ticks, units, maker, now_ns // 1000 * 1000)
        self.trades.append(trade)
        self.last = ticks
        self.volume_24_h += units
        self.high_24_h = max(self.high_24_h, ticks)
        self.low_24_h = min(self.low_24_h, ticks)
        candle = self.roll_candle(now_ns)
        candle.high, candle.low = max(candle.high, ticks), min(candle.low, ticks)
        candle.close = ticks
        candle.volume += units
        return trade

    def roll_candle(self, now_ns: int) -> Candle:
        """Return the bucket of this time, a new one where the old one is over."""
        start = now_ns // NANOSECONDS // CANDLE_SECONDS * CANDLE_SECONDS
        if self.candle is None or self.candle.start != start:
            self.candle = Candle(start, self.last, self.last, self.last, self.last)
        return self.candle

    def _quote(self, side: BookSide, other: BookSide, changed: dict[int, int]) -> None:
        """Place, change or cancel one level; never at or beyond the other side's best."""
        rng = self._rng
        best = side.best
        room = -(best + other.best) - 1
        count = len(side)
        choice = rng.random()
        # Most of what happens in a book happens near its top: a fourth power draws there.
        distance = rng.random() ** 4
        if room > 0 and (choice < IMPROVE or room > WIDEST_SPREAD):
            key = best + 1 + int(distance * min(room, 4))
        elif choice < IMPROVE + DELETE_UNKNOWN:
            # The venue deletes levels that it never published; clients must shrug.
            key = side.keys[0] - 1 - int(distance * 100)
            if key > 0 or side is self.offers:
                changed[key] = 0
            return
        elif choice < IMPROVE + DELETE_UNKNOWN + PLACE and count < self._depth * 1.1:
            key = best - 1 - int(distance * self._depth * 2)
            if key < 1 and side is self.bids:
                key = best
        else:
            key = side.keys[count - 1 - int(distance * count)]
            if choice > 1 - CANCEL and count > max(FEWEST_LEVELS, self._depth * 0.9):
                side.put(key, 0)
                changed[key] = 0
                return
        units = self._order_size()
        side.put(key, units)
        changed[key] = units


class Market:
    """All products together; which one moves next follows their activity.

    Args:
        products: What is traded; no id twice.
        seed: Where all randomness comes from.
        levels: Levels of the most active product's book, both sides together; the other books
            are shallower in proportion to their activity.
    """

    def __init__(self, products: Sequence[Product], *, seed: int, levels: int) -> None:
        most = max(product.activity for product in products)
        self.products = {
            product.id: ProductMarket(
                product, seed=seed, levels=int(levels * product.activity / most)
            )
            for product in products
        }
        if len(self.products) < len(products):
            raise ValueError("two products have the same id")
        self._markets = list(self.products.values())
        self._cumulative = list(accumulate(product.activity for product in products))
        self._rng = Random(f"{seed}/which product is next")  # noqa: S311 (a simulation)
        self.steps = 0

    def step(self, now_ns: int) -> list[Move]:
        """Let one event happen; at times it moves two products, which then share a frame."""
        self.steps += 1
        moves = [self._next().step(now_ns)]
        if self._rng.random() < SHARED_FRAME:
            second = self._next()
            if second is not moves[0].market:
                moves.append(second.step(now_ns))
        return moves

    def _next(self) -> ProductMarket:
        cumulative = self._cumulative
        return self._markets[bisect(cumulative, self._rng.random() * cumulative[-1])]

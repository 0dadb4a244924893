"""The market in Coinbase's words: each function writes one element of a frame's events array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fluxforge.sim.market import Move, ProductMarket, Trade
from fluxforge.sim.wire import SNAPSHOT_EVENT_TIME, decimal_text, go_time, rfc3339


def level2_update(move: Move) -> str:
    """The changed levels with their absolute quantities."""
    market = move.market
    # The book stamps in microseconds, the gateway's envelope in nanoseconds.
    time = rfc3339(move.time_ns // 1000 * 1000)
    updates = ",".join(
        (
            *_levels(market, "bid", time, move.bids.items()),
            *_levels(market, "offer", time, move.offers.items()),
        )
    )
    product = market.product.id
    return f'{{"type":"update","product_id":"{product}","updates":[{updates}]}}'


def level2_snapshot(market: ProductMarket) -> str:
    """The whole book, each side from its best level down."""
    bids, offers = market.bids, market.offers
    updates = ",".join(
        (
            *_levels(
                market, "bid", SNAPSHOT_EVENT_TIME, ((k, bids.levels[k]) for k in bids.keys[::-1])
            ),
            *_levels(
                market,
                "offer",
                SNAPSHOT_EVENT_TIME,
                ((k, offers.levels[k]) for k in offers.keys[::-1]),
            ),
        )
    )
    product = market.product.id
    return f'{{"type":"snapshot","product_id":"{product}","updates":[{updates}]}}'


def _levels(
    market: ProductMarket, side: str, time: str, levels: Iterable[tuple[int, int]]
) -> list[str]:
    head = f'{{"side":"{side}","event_time":"{time}","price_level":"'
    price_text = market.price_text
    scale = market.product.quantity_scale
    return [
        f'{head}{price_text(key)}","new_quantity":"{decimal_text(units, scale)}"}}'
        for key, units in levels
    ]


def trades_update(market: ProductMarket, trades: Sequence[Trade]) -> str:
    """Trades as they happened."""
    return _trades("update", market, trades)


def trades_snapshot(market: ProductMarket) -> str:
    """The most recent trades, newest first."""
    return _trades("snapshot", market, list(market.trades)[::-1])


def _trades(kind: str, market: ProductMarket, trades: Sequence[Trade]) -> str:
    product = market.product.id
    body = ",".join(
        f'{{"trade_id":"{trade.trade_id}","product_id":"{product}",'
        f'"price":"{market.price_text(trade.ticks)}","size":"{market.quantity_text(trade.units)}",'
        f'"side":"{trade.maker}","time":"{rfc3339(trade.time_ns)}"}}'
        for trade in trades
    )
    return f'{{"type":"{kind}","trades":[{body}]}}'


def tickers(kind: str, markets: Iterable[ProductMarket], *, best: bool) -> str:
    """Tickers of some products; ``ticker_batch`` has them without best bid and offer."""
    body = ",".join(_ticker(market, best=best) for market in markets)
    return f'{{"type":"{kind}","tickers":[{body}]}}'


def _ticker(market: ProductMarket, *, best: bool) -> str:
    price, quantity = market.price_text, market.quantity_text
    text = (
        f'{{"type":"ticker","product_id":"{market.product.id}","price":"{price(market.last)}",'
        f'"volume_24_h":"{quantity(market.volume_24_h)}",'
        f'"low_24_h":"{price(market.low_24_h)}","high_24_h":"{price(market.high_24_h)}",'
        f'"low_52_w":"{price(market.low_52_w)}","high_52_w":"{price(market.high_52_w)}",'
        f'"price_percent_chg_24_h":"{percent_change(market.open_24_h, market.last)}"'
    )
    if best:
        bid, offer = market.bids.best, market.offers.best
        text += (
            f',"best_bid":"{price(bid)}","best_bid_quantity":"{quantity(market.bids.levels[bid])}"'
            f',"best_ask":"{price(offer)}",'
            f'"best_ask_quantity":"{quantity(market.offers.levels[offer])}"'
        )
    return text + "}"


def percent_change(before: int, now: int) -> str:
    """The change in percent, up to 15 significant digits, never with an exponent."""
    text = f"{(now - before) * 100 / before:.13f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def candles(kind: str, markets: Iterable[ProductMarket], now_ns: int) -> str:
    """The open five-minute bucket of some products."""
    rows = []
    for market in markets:
        candle, price = market.roll_candle(now_ns), market.price_text
        rows.append(
            f'{{"start":"{candle.start}","high":"{price(candle.high)}",'
            f'"low":"{price(candle.low)}","open":"{price(candle.open)}",'
            f'"close":"{price(candle.close)}",'
            f'"volume":"{market.quantity_text(candle.volume)}","product_id":"{market.product.id}"}}'
        )
    return f'{{"type":"{kind}","candles":[{",".join(rows)}]}}'


def status(kind: str, markets: Iterable[ProductMarket]) -> str:
    """The static facts of some products."""
    body = ",".join(
        f'{{"product_type":"{p.product_type}","id":"{p.id}","base_currency":"{p.base_currency}",'
        f'"quote_currency":"{p.quote_currency}","base_increment":"{p.base_increment}",'
        f'"quote_increment":"{p.quote_increment}",'
        f'"display_name":"{p.base_currency}/{p.quote_currency}","status":"online",'
        f'"status_message":"","min_market_funds":"1"}}'
        for p in (market.product for market in markets)
    )
    return f'{{"type":"{kind}","products":[{body}]}}'


def heartbeat(now_ns: int, uptime_ns: int, counter: int) -> str:
    """The server's pulse."""
    return f'{{"current_time":"{go_time(now_ns, uptime_ns)}","heartbeat_counter":{counter}}}'


def subscriptions(current: Mapping[str, Iterable[str]]) -> str:
    """The acknowledgement: the connection's whole map, by the names used to subscribe."""
    body = ",".join(_channel(channel, names) for channel, names in current.items())
    return f'{{"subscriptions":{{{body}}}}}'


def _channel(channel: str, names: Iterable[str]) -> str:
    return '"' + channel + '":[' + ",".join('"' + name + '"' for name in names) + "]"

"""Who is told what: the market's moves and the clock's, routed to the sessions they concern."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator

from fluxforge.sim import render
from fluxforge.sim.market import Market, Move, ProductMarket
from fluxforge.sim.session import Session


class Publisher:
    """Puts frames into sessions; each body is rendered once, however many are told.

    Args:
        market: The market that all sessions share.
        sessions: A live view of the sessions.
        clock: Wall clock in nanoseconds.

    Attributes:
        demand: Set while anyone is subscribed to anything but heartbeats.
    """

    def __init__(
        self, market: Market, sessions: Collection[Session], *, clock: Callable[[], int]
    ) -> None:
        self.demand = asyncio.Event()
        self._market = market
        self._sessions = sessions
        self._clock = clock
        self._started_ns = clock()
        self._beats = 0
        self._routes: dict[tuple[str, str], list[Session]] = {}

    def look_up_routes(self) -> None:
        """Learn anew who listens to what; call it when a session or its subscriptions changed."""
        routes: dict[tuple[str, str], list[Session]] = {}
        for session in self._sessions:
            for channel in session.live:
                for name in session.listening(channel):
                    routes.setdefault((channel, name), []).append(session)
        self._routes = routes
        if any(channel != "heartbeats" for channel, _ in routes):
            self.demand.set()
        else:
            self.demand.clear()

    def publish(self, moves: list[Move]) -> None:
        """Tell of trades, then of the book they left behind, then of the ticker that agrees."""
        for move in moves:
            if move.trades and (told := self._listening("market_trades", move)):
                body = render.trades_update(move.market, move.trades)
                for session in told:
                    session.put("market_trades", body)
        self._publish_level2(moves)
        for move in moves:
            if move.trades and (told := self._listening("ticker", move)):
                body = render.tickers("update", [move.market], best=True)
                for session in told:
                    session.put("ticker", body)

    def _publish_level2(self, moves: list[Move]) -> None:
        events: dict[Session, list[str]] = {}
        for move in moves:
            if told := self._listening("level2", move):
                body = render.level2_update(move)
                for session in told:
                    events.setdefault(session, []).append(body)
        for session, bodies in events.items():
            session.put("level2", ",".join(bodies))

    def _listening(self, channel: str, move: Move) -> list[Session] | None:
        return self._routes.get((channel, move.market.product.id))

    def heartbeats(self) -> None:
        """Send a heartbeat; the counter is the server's, the same for all connections."""
        self._beats += 1
        now = self._clock()
        body = render.heartbeat(now, now - self._started_ns, self._beats)
        for session in self._sessions:
            if session.listening("heartbeats") and not session.outbound.overfull:
                session.put("heartbeats", body)

    def candles(self) -> None:
        """Send the open five-minute buckets."""
        now = self._clock()
        for session, markets in self._subscribed("candles"):
            session.put("candles", render.candles("update", markets, now))

    def batches(self) -> None:
        """Send what comes every few seconds: ticker_batch and status."""
        for session, markets in self._subscribed("ticker_batch"):
            session.put("ticker_batch", render.tickers("update", markets, best=False))
        for session, markets in self._subscribed("status"):
            session.put("status", render.status("update", markets))

    def _subscribed(self, channel: str) -> Iterator[tuple[Session, list[ProductMarket]]]:
        """Yield who is subscribed, with the products; not who is far behind with reading."""
        for session in self._sessions:
            names = session.listening(channel)
            if names and not session.outbound.overfull:
                yield session, [self._market.products[name] for name in names]

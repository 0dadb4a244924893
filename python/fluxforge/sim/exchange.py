"""The simulated exchange: one market, any number of websocket connections.

Every connection sees the same market. It moves at the rate asked for, and it waits for whoever
reads slower than it writes: what is in flight stays bounded by the sockets' buffers, nobody loses
a frame, and who does not read at all is cut off after a while. While nobody is subscribed to
anything that moves, the market stands still.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from fluxforge.sim import render
from fluxforge.sim.journal import JournalWriter
from fluxforge.sim.market import Market, Move, ProductMarket
from fluxforge.sim.outbound import Outbound
from fluxforge.sim.pacing import Pacer
from fluxforge.sim.products import DEFAULT_PRODUCTS, Product
from fluxforge.sim.session import SLOW_CLIENT, Rules, Session
from fluxforge.sim.timetable import Timetable

TICK = 0.02  # seconds between looks at deadlines
EVENTS_BEFORE_OPENING = 1000
WRITE_BUFFER_BYTES = 256 * 1024
CLOSE_TIMEOUT = 60.0  # seconds a client has to read what was sent before its Close
STOP_TIMEOUT = 10.0  # the same when the exchange stops, so that a dead client cannot hold it
POLICY_VIOLATION = 1008
GOING_AWAY = 1001


class SimulatedExchange:
    """A websocket server that speaks Coinbase Advanced Trade market data.

    Use it as an async context manager; it serves from entering to leaving::

        async with SimulatedExchange(seed=7, rate=500) as exchange:
            async with websockets.connect(exchange.url) as socket: ...

    Args:
        products: What is traded.
        seed: The same seed and the same subscriptions give the same market.
        rate: Market events per second over all products, each one level2 update and, for about
            one in four, a trade and a ticker. 0 or infinity: as fast as the sockets take them.
        snapshot_levels: Levels of the most active product's book, both sides together (BTC-USD
            live: 44,000); the others' books are shallower as their activity is lower.
        heartbeat_interval: Seconds between heartbeats.
        candle_interval: Seconds between candle updates.
        batch_interval: Seconds between ticker_batch and status updates.
        rules: The venue's limits.
        client_id: The envelope's ``client_id``; None leaves the field out, as in 2026.
        compression: Accept permessage-deflate where a client offers it.
        journal: File to write down every frame sent; see ``fluxforge.sim.journal``.
        host: Address to listen on.
        port: Port to listen on; 0 lets the system choose.
        clock: Wall clock in nanoseconds.

    Attributes:
        port: The port it listens on, once entered.
    """

    def __init__(
        self,
        *,
        products: Sequence[Product] = DEFAULT_PRODUCTS,
        seed: int = 1,
        rate: float = 100.0,
        snapshot_levels: int = 1000,
        heartbeat_interval: float = 1.0,
        candle_interval: float = 1.0,
        batch_interval: float = 5.0,
        rules: Rules | None = None,
        client_id: str | None = None,
        compression: bool = False,
        journal: Path | str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.market = Market(products, seed=seed, levels=snapshot_levels)
        self.host = host
        self.port = port
        self._seed = seed
        self._pacer = Pacer(rate)
        self._rules = rules or Rules()
        self._client_id = client_id
        self._compression = "deflate" if compression else None
        self._journal_path = None if journal is None else Path(journal)
        self._journal: JournalWriter | None = None
        self._clock = clock
        self._numbers = count(1)
        self._sessions: dict[ServerConnection, Session] = {}
        self._routes: dict[tuple[str, str], list[Session]] = {}
        self._demand = asyncio.Event()
        self._ended_by_us: dict[ServerConnection, str] = {}
        self._timetable = Timetable(
            {
                self._beat: heartbeat_interval,
                self._send_candles: candle_interval,
                self._send_batches: batch_interval,
            }
        )
        self._heartbeats = 0
        self._started_ns = 0
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where to connect."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}"

    # -- life

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self._journal_path is not None:
                self._journal = stack.enter_context(JournalWriter(self._journal_path))
            server = await serve(
                self._serve_connection,
                self.host,
                self.port,
                compression=self._compression,
                ping_interval=None,  # the venue sends heartbeats, not pings
                close_timeout=CLOSE_TIMEOUT,
                write_limit=WRITE_BUFFER_BYTES,
                server_header=None,
            )
            self.port = server.sockets[0].getsockname()[1]
            stack.push_async_callback(self._stop_serving, server)
            self._started_ns = self._clock()
            # The first subscriber should find trades to be shown, as on a real venue.
            for _ in range(EVENTS_BEFORE_OPENING):
                self.market.step(self._started_ns)
            self._group = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(self._cancel_tasks)
            self._spawn(self._run_market())
            self._spawn(self._run_timers())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(exc_type, exc, traceback)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _stop_serving(self, server: Server) -> None:
        for connection in self._sessions:
            self._ended_by_us.setdefault(connection, "exchange stopped")
        server.close(code=GOING_AWAY)
        try:
            await asyncio.wait_for(server.wait_closed(), STOP_TIMEOUT)
        except TimeoutError:
            for connection in list(self._sessions):
                connection.transport.abort()
            await server.wait_closed()

    def _end(self, connection: ServerConnection, reason: str) -> None:
        """End a connection for breaking a rule; said once, however often it is noticed."""
        if connection in self._ended_by_us:
            return
        self._ended_by_us[connection] = reason
        if reason == SLOW_CLIENT:
            # A Close would only queue behind what the client does not read.
            connection.transport.abort()
        else:
            self._spawn(connection.close(POLICY_VIOLATION, reason))

    async def _serve_connection(self, connection: ServerConnection) -> None:
        number = next(self._numbers)
        outbound = Outbound(
            connection,
            number=number,
            clock=self._clock,
            journal=self._journal,
            client_id=self._client_id,
        )
        session = Session(
            outbound,
            self.market,
            rules=self._rules,
            rng=Random(f"{self._seed}/connection {number}"),  # noqa: S311 (a simulation)
            clock=self._clock,
            now=time.monotonic(),
        )
        if self._journal is not None:
            self._journal.event(number, self._clock(), "open")
        self._sessions[connection] = session
        try:
            while True:
                session.receive(await connection.recv(), time.monotonic())
                if session.pump():
                    self._look_up_routes()
                outbound.flush()
        except ConnectionClosed as closed:
            if self._journal is not None:
                self._journal.event(
                    number,
                    self._clock(),
                    "close",
                    reason=self._ended_by_us.pop(connection, None)
                    or ("client closed" if closed.rcvd else "connection lost"),
                    code=None if closed.rcvd is None else closed.rcvd.code,
                    clean=closed.rcvd is not None and closed.sent is not None,
                    frames=outbound.frames_sent,
                )
                self._journal.flush()
        finally:
            del self._sessions[connection]
            self._look_up_routes()

    # -- what moves

    async def _run_market(self) -> None:
        while True:
            await self._demand.wait()
            for session in list(self._sessions.values()):
                if session.outbound.blocked:
                    await session.outbound.drained()
            for _ in range(self._pacer.due(time.monotonic())):
                self._publish(self.market.step(self._clock()))
            for session in self._sessions.values():
                session.outbound.flush()
            await asyncio.sleep(self._pacer.delay(time.monotonic()))

    def _publish(self, moves: list[Move]) -> None:
        """Tell whom it concerns: the trades, then the book they left behind, then the ticker."""
        routes = self._routes
        for move in moves:
            if move.trades:
                for session in routes.get(("market_trades", move.market.product.id), ()):
                    session.put("market_trades", render.trades_update(move.market, move.trades))
        if len(moves) == 1:
            body = None
            for session in routes.get(("level2", moves[0].market.product.id), ()):
                body = body or render.level2_update(moves[0])
                session.put("level2", body)
        else:
            self._publish_shared_frame(moves)
        for move in moves:
            if move.trades:
                for session in routes.get(("ticker", move.market.product.id), ()):
                    session.put("ticker", render.tickers("update", [move.market], best=True))

    def _publish_shared_frame(self, moves: list[Move]) -> None:
        events: dict[Session, list[str]] = {}
        for move in moves:
            for session in self._routes.get(("level2", move.market.product.id), ()):
                events.setdefault(session, []).append(render.level2_update(move))
        for session, bodies in events.items():
            session.put("level2", ",".join(bodies))

    def _look_up_routes(self) -> None:
        routes: dict[tuple[str, str], list[Session]] = {}
        for session in self._sessions.values():
            for channel, names in session.live.items():
                for name in names:
                    routes.setdefault((channel, name), []).append(session)
        self._routes = routes
        if any(channel != "heartbeats" for channel, _ in routes):
            self._demand.set()
        else:
            self._demand.clear()

    # -- what comes by the clock

    async def _run_timers(self) -> None:
        while True:
            now = time.monotonic()
            self._timetable.run(now)
            for connection, session in list(self._sessions.items()):
                reason = session.tick(now)
                if session.pump():
                    self._look_up_routes()
                session.outbound.flush()
                if reason is not None:
                    self._end(connection, reason)
            await asyncio.sleep(TICK)

    def _beat(self) -> None:
        self._heartbeats += 1
        now = self._clock()
        body = render.heartbeat(now, now - self._started_ns, self._heartbeats)
        for session, _ in self._listening("heartbeats"):
            session.put("heartbeats", body)

    def _send_candles(self) -> None:
        now = self._clock()
        for session, markets in self._listening("candles"):
            session.put("candles", render.candles("update", markets, now))

    def _send_batches(self) -> None:
        for session, markets in self._listening("ticker_batch"):
            session.put("ticker_batch", render.tickers("update", markets, best=False))
        for session, markets in self._listening("status"):
            session.put("status", render.status("update", markets))

    def _listening(self, channel: str) -> Iterator[tuple[Session, list[ProductMarket]]]:
        """Yield who listens to a channel, with the products; not who is behind with reading."""
        for session in self._sessions.values():
            names = session.live.get(channel)
            if names and not session.outbound.blocked:
                products = self.market.products
                yield session, [products[name] for name in names if name in products]

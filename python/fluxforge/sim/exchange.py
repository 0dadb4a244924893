"""The simulated exchange: one market, any number of websocket connections.

Every connection sees the same market. It moves at the rate asked for, and it waits for whoever
reads slower than it writes: what is in flight stays bounded by the sockets' buffers, nobody loses
a frame, and who does not read at all is cut off after a while. While nobody is subscribed to
anything that moves, the market stands still. On command it misbehaves (``fluxforge.sim.faults``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from fluxforge.sim.admission import RATE_LIMITED, Admission
from fluxforge.sim.conduct import Misconduct
from fluxforge.sim.control import ControlPort
from fluxforge.sim.faults import Fault, Lose, read_fault
from fluxforge.sim.faults.fault import HangUp
from fluxforge.sim.hanging_up import reset
from fluxforge.sim.journal import JournalWriter
from fluxforge.sim.market import Market
from fluxforge.sim.outbound import Outbound
from fluxforge.sim.pacing import RateLimit
from fluxforge.sim.products import DEFAULT_PRODUCTS, Product
from fluxforge.sim.publisher import Publisher
from fluxforge.sim.session import SLOW_CLIENT, Rules, Session
from fluxforge.sim.tempo import Tempo
from fluxforge.sim.timetable import Timetable

TICK = 0.02  # seconds between looks at deadlines
EVENTS_BEFORE_OPENING = 1000
WRITE_BUFFER_BYTES = 256 * 1024
CLOSE_TIMEOUT = 60.0  # seconds a client has to read what was sent before its Close
STOP_TIMEOUT = 10.0  # the same when the exchange stops, so that a dead client cannot hold it
POLICY_VIOLATION = 1008
GOING_AWAY = 1001
EXCHANGE = 0  # the number of no connection: in the journal, the exchange itself


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
        lose: Share of the frames to withhold, 0 to 1: short for the fault ``Lose(share=…)``.
        faults: How to misbehave, and when: values of ``fluxforge.sim.faults``, or mappings as in
            a scenario file. Times count from entering.
        journal: File to write down every frame sent; see ``fluxforge.sim.journal``.
        host: Address to listen on.
        port: Port to listen on; 0 lets the system choose.
        control_port: Port on which to take commands (``fluxforge.sim.control``), on the loopback
            address alone; 0 lets the system choose, None takes none.
        clock: Wall clock in nanoseconds.

    Attributes:
        port: The port it listens on, once entered.
        control_port: The port on which it takes commands, once entered.
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
        lose: float = 0.0,
        faults: Iterable[Fault | Mapping[str, Any]] = (),
        journal: Path | str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        control_port: int | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        if not 0 <= lose <= 1:
            raise ValueError(f"lose={lose} is no share: use 0 (nothing) to 1 (everything)")
        self.market = Market(products, seed=seed, levels=snapshot_levels)
        self.host = host
        self.port = port
        self.control_port = control_port
        self._seed = seed
        self._rules = rules or Rules()
        # The venue counts per address; all that reach a loopback server have the same one.
        self._message_limit = RateLimit(self._rules.messages_per_second)
        self._client_id = client_id
        self._scenario = [_as_fault(fault) for fault in faults]
        if lose:
            self._scenario.append(Lose(share=lose))
        self._misconduct = Misconduct(seed=seed, clock=time.monotonic)
        self._tempo = Tempo(self.market, rate=rate, misconduct=self._misconduct, clock=clock)
        self._compression = "deflate" if compression else None
        self._journal_path = None if journal is None else Path(journal)
        self._journal: JournalWriter | None = None
        self._clock = clock
        self._numbers = count(1)
        self._sessions: dict[ServerConnection, Session] = {}
        self._publisher = Publisher(self.market, self._sessions.values(), clock=clock)
        self._ended_by_us: dict[ServerConnection, str] = {}
        self._timetable = Timetable(
            {
                self._publisher.heartbeats: heartbeat_interval,
                self._publisher.candles: candle_interval,
                self._publisher.batches: batch_interval,
            }
        )
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where to connect."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}"

    @property
    def sessions(self) -> list[Session]:
        """The connections that are open now, in the order in which they came."""
        return list(self._sessions.values())

    @property
    def connections(self) -> list[int]:
        """Their numbers in the journal."""
        return [session.outbound.number for session in self._sessions.values()]

    # -- misbehaviour

    @property
    def faults(self) -> dict[int, Fault]:
        """What it was asked to do wrong and not to stop, by number."""
        return self._misconduct.faults

    def misbehave(self, fault: Fault | Mapping[str, Any]) -> int:
        """Begin to misbehave; the fault's times count from now. Call it while serving.

        Args:
            fault: A value of ``fluxforge.sim.faults``, or a mapping as in a scenario file.

        Returns:
            The fault's number, for ``behave``.

        Raises:
            ValueError: The mapping is no fault; the message says why.
        """
        fault = _as_fault(fault)
        which = self._misconduct.begin(fault)
        self._tell("fault", number=which, **fault.fields())
        return which

    def behave(self, which: int | None = None) -> None:
        """Stop a fault, or all of them.

        Raises:
            KeyError: There is no fault of this number, or it was stopped before.
        """
        for each in [which] if which is not None else list(self.faults):
            if not self._misconduct.end(each):
                raise KeyError(each)
            self._tell("fault_ended", number=each)

    def _tell(self, event: str, **detail: object) -> None:
        """Journal what concerns no one connection."""
        if self._journal is not None:
            self._journal.event(EXCHANGE, self._clock(), event, **detail)

    # -- life

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self._close_journal)
            admission = Admission(
                self._rules.connections_per_second,
                misconduct=self._misconduct,
                clock=time.monotonic,
                tell=self._tell,
            )
            server = await serve(
                self._serve_connection,
                self.host,
                self.port,
                compression=self._compression,
                ping_interval=None,  # the venue sends heartbeats, not pings
                close_timeout=CLOSE_TIMEOUT,
                write_limit=WRITE_BUFFER_BYTES,
                server_header=None,
                process_request=admission.admit,
                open_timeout=None,  # a slow venue does not give up on its own slowness
            )
            self.port = server.sockets[0].getsockname()[1]
            stack.push_async_callback(self._stop_serving, server)
            stack.callback(admission.stop)
            if self._journal_path is not None:
                # Only now: a port in use must not cost anyone an older journal.
                self._journal = JournalWriter(self._journal_path)
            for fault in self._scenario:
                self.misbehave(fault)
            opening = self._clock()
            # The first subscriber should find trades to be shown, as on a real venue.
            for _ in range(EVENTS_BEFORE_OPENING):
                self.market.step(opening)
            self._group = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(self._cancel_tasks)
            self._spawn(self._run_market())
            self._spawn(self._run_timers())
            if self.control_port is not None:
                control = ControlPort(self, self.control_port)
                stack.push_async_callback(control.close)
                await control.open()
                self.control_port = control.port
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(exc_type, exc, traceback)

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _stop_serving(self, server: Server) -> None:
        for connection, session in self._sessions.items():
            self._ended_by_us.setdefault(connection, "exchange stopped")
            if session.outbound.silent:
                reset(connection)  # it has no Close to say
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

    def _hang_up(self, connection: ServerConnection, how: HangUp, code: int, reason: str) -> None:
        """End a connection as a fault wants it."""
        if connection in self._ended_by_us:
            return
        self._ended_by_us[connection] = reason
        match how:
            case "close":
                self._spawn(connection.close(code, reason))
            case "drop":
                connection.transport.close()
            case "reset":
                reset(connection)

    async def _serve_connection(self, connection: ServerConnection) -> None:
        number = next(self._numbers)
        conduct = self._misconduct.towards(number)
        outbound = Outbound(
            connection,
            number=number,
            clock=self._clock,
            journal=self._journal,
            client_id=self._client_id,
            conduct=conduct,
            end=partial(self._hang_up, connection),
        )
        session = Session(
            outbound,
            self.market,
            rules=self._rules,
            conduct=conduct,
            rng=Random(f"{self._seed}/connection {number}"),  # noqa: S311 (a simulation)
            clock=self._clock,
            now=time.monotonic(),
        )
        if self._journal is not None:
            self._journal.event(number, self._clock(), "open")
        self._sessions[connection] = session
        try:
            while True:
                message, now = await connection.recv(), time.monotonic()
                if self._message_limit.allows(now):
                    session.receive(message, now)
                    session.pump()
                    self._publisher.look_up_routes()
                else:
                    outbound.put_error(RATE_LIMITED)
                outbound.flush()
                # Who asks without reading the answers is not heard either.
                await outbound.drained()
        except ConnectionClosed as closed:
            reason = "client closed" if closed.rcvd else "connection lost"
            if self._journal is not None:
                self._journal.event(
                    number,
                    self._clock(),
                    "close",
                    reason=self._ended_by_us.get(connection, reason),
                    code=None if closed.rcvd is None else closed.rcvd.code,
                    clean=closed.rcvd is not None and closed.sent is not None,
                    frames=outbound.frames_sent,
                )
                self._journal.flush()
        finally:
            self._ended_by_us.pop(connection, None)
            del self._sessions[connection]
            self._misconduct.forget(number)
            self._publisher.look_up_routes()

    # -- what moves

    async def _run_market(self) -> None:
        while True:
            await self._publisher.demand.wait()
            for session in self.sessions:
                await session.outbound.drained()
            # There is room just now: who waits for a snapshot comes before the market.
            for session in self.sessions:
                if session.pump():
                    self._publisher.look_up_routes()
            for moves in self._tempo.due(time.monotonic()):
                self._publisher.publish(moves)
            for session in self._sessions.values():
                session.outbound.flush()
            await asyncio.sleep(self._tempo.delay(time.monotonic()))

    async def _run_timers(self) -> None:
        while True:
            now = time.monotonic()
            self._timetable.run(now)
            for connection, session in list(self._sessions.items()):
                # Both, whatever the first one says.
                if session.tick(now) | session.pump():
                    self._publisher.look_up_routes()
                session.outbound.flush()
                if (reason := session.overdue(now)) is not None:
                    self._end(connection, reason)
            await asyncio.sleep(TICK)


def _as_fault(fault: Fault | Mapping[str, Any]) -> Fault:
    return fault if isinstance(fault, Fault) else read_fault(fault)

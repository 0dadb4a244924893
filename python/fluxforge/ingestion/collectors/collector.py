"""One supervised websocket connection: every frame that arrives is stamped and appended.

Nothing is decoded, answered or sorted out on the way in: acks, errors and heartbeats are frames
like any other. What happens to the connection itself becomes events in the same segment, so the
record says where frames may be missing:

    connected → subscribing → (refused | gap | repeat | restart | resync | stalled)* → disconnected

On a stop the client sends Close and goes on receiving until the server's Close, so what was
already on its way is kept.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from fluxforge._native import Intake, Notice
from fluxforge.errors import ConfigError, QueueFullError, SegmentWriteError
from fluxforge.ingestion.collectors.connection_plan import ConnectionPlan, Subscription
from fluxforge.ingestion.collectors.liveness import Liveness, Stall, Timeouts
from fluxforge.ingestion.collectors.pacing import Backoff, Pace
from fluxforge.ingestion.collectors.resync import Resync
from fluxforge.ingestion.collectors.stats import CollectorStats
from fluxforge.ingestion.writers import LogWriter

log = logging.getLogger(__name__)

_ERROR_FRAME = b'{"type":"error"'
_CLOSE_SECONDS = 30.0  # what a venue gets to answer our Close with all that it sent before
_LAST_ROOM_SECONDS = 5.0  # what a full disk gets to take more once the run is to end


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """How to treat a venue's sockets.

    Attributes:
        url: Where to connect.
        max_message_bytes: Largest frame to accept.
        timeouts: How long a connection may be silent, and in which way.
        healthy_seconds: A connection that lasted this long resets the backoff.
        open_timeout: How long a handshake may take, in seconds.
        heartbeat_channel: The channel that speaks each second.
        book_channel: The channel whose books a gap makes suspect, as one subscribes to it.
        book_wire_channel: The same on the wire.
        watch_interval: Seconds between two looks at whether a connection lives.
        resync_timeout: Seconds in which a resync brings all its snapshots.
        resync_interval: Seconds from one resync of a connection to the next at least.
    """

    url: str
    max_message_bytes: int
    timeouts: Timeouts
    healthy_seconds: float = 10.0
    open_timeout: float = 10.0
    heartbeat_channel: str = "heartbeats"
    book_channel: str = "level2"
    book_wire_channel: str = "l2_data"
    watch_interval: float = 0.5
    resync_timeout: float = 30.0
    resync_interval: float = 10.0


class Collector:
    """Keeps one planned connection alive and appends what it receives.

    Args:
        plan: The socket's subscriptions.
        settings: How to treat it.
        writer: Where frames and events go.
        run_id: Unique for this run; part of each connection's name.
        connect_pace: Shared by all collectors: how often a socket may be opened.
        message_pace: Shared by all collectors: how often one may speak.
        backoff: Delays between attempts.
        clock_ns: Wall clock, nanoseconds since the epoch.
    """

    def __init__(
        self,
        plan: ConnectionPlan,
        *,
        settings: ConnectionSettings,
        writer: LogWriter,
        run_id: str,
        connect_pace: Pace,
        message_pace: Pace,
        backoff: Backoff | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._writer = writer
        self._run_id = run_id
        self._connect_pace = connect_pace
        self._message_pace = message_pace
        self._backoff = backoff or Backoff()
        self._clock_ns = clock_ns
        self._attempt = 0
        self._waiting_for_disk = False
        self._heard_out = False
        self._silent = False
        self._intake: Intake | None = None
        self._resync: Resync | None = None
        self._bookless: set[str] = set()
        self._breaks_told_at = -math.inf
        self._counted = CollectorStats()

    @property
    def stats(self) -> CollectorStats:
        """A snapshot of the counters."""
        stats, intake = self._counted, self._intake
        if intake is None:
            return replace(stats)
        return replace(stats, frames=stats.frames + intake.frames, bytes=stats.bytes + intake.bytes)

    async def run(self, stop: asyncio.Event) -> None:
        """Connect, receive and reconnect until told to stop. Never gives up on the network.

        Raises:
            SegmentWriteError: The writer stopped for good; nothing can be kept any more.
        """
        while not stop.is_set():
            await _unless(stop, self._connect_pace.wait())
            if stop.is_set():
                return
            what = "lost the connection to"
            try:
                await self._session(stop)
            except SegmentWriteError:
                raise  # an OSError too, but not the network's
            except (OSError, WebSocketException, ValueError) as error:
                # ValueError: a redirect or a proxy's name may be anything.
                what = "cannot reach"
                self._counted.last_error = _describe(error)
            except ImportError as error:
                raise ConfigError(
                    f"the proxy that the environment names for {self._settings.url} cannot be "
                    f"used: {error}"
                ) from error
            if stop.is_set():
                return
            delay = self._backoff.next_delay()
            log.warning(
                "%s %s: %s; trying again in %.1f s and for as long as it takes",
                what,
                self._settings.url,
                self._counted.last_error,
                delay,
            )
            await _unless(stop, asyncio.sleep(delay))

    async def _session(self, stop: asyncio.Event) -> None:
        """One connection from its handshake to its end."""
        self._attempt += 1
        self._heard_out = self._silent = False
        conn = f"{self._run_id}-{self._plan.index}-{self._attempt}"
        async with connect(
            self._settings.url,
            open_timeout=self._settings.open_timeout,
            max_size=self._settings.max_message_bytes,
            max_queue=1,  # what waits is bounded in bytes by the writer's queue, not here
            # Pongs are not seen while a full disk keeps us from reading, so only silence counts.
            ping_timeout=None,
            close_timeout=_CLOSE_SECONDS,
            proxy=None if _is_loopback(self._settings.url) else True,
        ) as socket:
            connected_at = asyncio.get_running_loop().time()
            self._intake = self._writer.intake(conn)
            self._resync = self._new_resync(self._intake)
            self._counted.connects += 1
            self._counted.connected = True
            self._event(
                "connected",
                conn,
                url=self._settings.url,
                extensions=[extension.name for extension in socket.protocol.extensions],
            )
            log.info("connected to %s as %s", self._settings.url, conn)
            try:
                async with asyncio.TaskGroup() as tasks:
                    beside = [
                        tasks.create_task(self._subscribe(socket, conn)),
                        tasks.create_task(self._watch(socket, self._intake, conn)),
                        tasks.create_task(_close_on(stop, socket)),
                        tasks.create_task(self._keep_books_whole(socket, conn)),
                    ]
                    await self._receive(socket, self._intake, conn, stop)
                    for task in beside:
                        task.cancel()
            finally:
                self._counted = replace(self.stats, connected=False)
                self._intake = self._resync = None
                # Who stops and hears the venue out has lost nothing that was sent before.
                cause = {"cause": "stop"} if stop.is_set() and self._heard_out else {}
                reason = self._counted.last_error or "cancelled"
                self._event("disconnected", conn, reason=reason, **cause)
                lasted = asyncio.get_running_loop().time() - connected_at
                if lasted >= self._settings.healthy_seconds:
                    self._backoff.reset()

    async def _receive(
        self, socket: ClientConnection, intake: Intake, conn: str, stop: asyncio.Event
    ) -> None:
        """Append every frame until the connection ends; then say how it ended."""
        append, clock_ns = intake.append, self._clock_ns
        try:
            while True:
                frame = await socket.recv(decode=False)
                capture_ns = clock_ns()
                try:
                    notice = append(frame, capture_ns)
                except QueueFullError:
                    notice, taken = await self._append_when_there_is_room(
                        intake, frame, capture_ns, stop
                    )
                    if not taken:
                        self._counted.last_error = "stopped while the disk took no more"
                        # Nobody reads any more, so the venue's Close would be waited for in vain.
                        socket.transport.abort()
                        return
                if notice is not None:
                    self._noticed(notice, frame, conn)
        except ConnectionClosed as closed:
            if not self._silent:
                self._counted.last_error = _describe(closed)
            self._heard_out = closed.sent is not None and closed.rcvd is not None

    async def _append_when_there_is_room(
        self, intake: Intake, frame: bytes, capture_ns: int, stop: asyncio.Event
    ) -> tuple[Notice | None, bool]:
        """Wait for the disk. Meanwhile the socket is not read, so TCP holds the venue back.

        Returns:
            What was noticed, and whether it was taken at all. False: the disk took no more and the
            run is to end. The frame was not kept, and as it was never reported durable, the gap
            after the last one that was covers it.
        """
        self._waiting_for_disk = True
        try:
            while True:
                drain = asyncio.ensure_future(self._writer.drain(len(frame)))
                await _first_of(drain, asyncio.ensure_future(stop.wait()))
                if not drain.done():
                    await asyncio.wait({drain}, timeout=_LAST_ROOM_SECONDS)
                if not drain.done():
                    drain.cancel()
                    return None, False
                await drain
                with suppress(QueueFullError):  # another connection was faster
                    return intake.append(frame, capture_ns), True
        finally:
            self._waiting_for_disk = False

    async def _subscribe(self, socket: ClientConnection, conn: str) -> None:
        """Send one message per channel. The answers are frames like any other."""
        with suppress(ConnectionClosed):  # the receiver reports it
            for subscription in self._plan.subscriptions:
                await self._message_pace.wait()
                await socket.send(subscription.message())
                self._event(
                    "subscribing",
                    conn,
                    channel=subscription.channel,
                    product_ids=subscription.product_ids,
                )

    def _new_resync(self, intake: Intake) -> Resync | None:
        """What to do about gaps of a connection, if it has books."""
        settings = self._settings
        if not (products := self._plan.products_of(settings.book_channel)):
            return None
        return Resync(
            Subscription(settings.book_channel, products),
            intake=intake,
            wire_channel=settings.book_wire_channel,
            timeout=settings.resync_timeout,
            interval=settings.resync_interval,
            bookless=self._bookless,
        )

    async def _keep_books_whole(self, socket: ClientConnection, conn: str) -> None:
        """Ask for books anew after each gap, and give the connection up where that fails."""
        resync = self._resync
        if resync is None:
            return

        async def send(message: str) -> None:
            await self._message_pace.wait()
            await socket.send(message)

        def tell(step: str) -> None:
            self._counted.resyncs += 1
            channel = self._settings.book_channel
            products = self._plan.products_of(channel)
            self._event("resync", conn, channel=channel, product_ids=products, step=step)
            log.warning("%s: books of %d products: %s", conn, len(products), step)

        with suppress(ConnectionClosed):  # the receiver reports it
            await resync.run(send, tell, lambda: self._waiting_for_disk)
            await socket.close(reason="a resync brought no snapshots")

    async def _watch(self, socket: ClientConnection, intake: Intake, conn: str) -> None:
        """Notice silence and do the smallest thing about it. Held back by the disk, time stands."""
        settings, loop = self._settings, asyncio.get_running_loop()
        books = settings.book_channel
        liveness = Liveness(
            settings.timeouts,
            channels={
                each.channel: settings.book_wire_channel if each.channel == books else each.channel
                for each in self._plan.subscriptions
            },
            heartbeat_channel=settings.heartbeat_channel,
        )
        lived, before = 0.0, loop.time()
        with suppress(ConnectionClosed):  # the receiver reports it
            while True:
                await asyncio.sleep(settings.watch_interval)
                now = loop.time()
                if not self._waiting_for_disk:
                    lived += now - before
                before = now
                for stall in liveness.look(intake.frames, intake.channels, now=lived):
                    self._stalled(stall, conn)
                    if stall.step == "reconnect":
                        self._silent = True
                        self._counted.last_error = f"silent for too long: {stall.what}"
                        # A host that died answers no Close either.
                        socket.transport.abort()
                        return
                    await self._ask_anew(socket, stall.channel)

    async def _ask_anew(self, socket: ClientConnection, channel: str | None) -> None:
        for subscription in self._plan.subscriptions:
            if subscription.channel == channel:
                for kind in ("unsubscribe", "subscribe"):
                    await self._message_pace.wait()
                    await socket.send(subscription.message(kind))

    def _stalled(self, stall: Stall, conn: str) -> None:
        self._counted.stalls += 1
        of = {} if stall.channel is None else {"channel": stall.channel}
        seconds = round(stall.seconds, 3)
        self._event("stalled", conn, what=stall.what, **of, seconds=seconds, step=stall.step)
        silent = stall.channel or "everything"
        log.warning("%s: %s is silent for %.1f s: %s", conn, silent, stall.seconds, stall.step)

    def _noticed(self, notice: Notice, frame: bytes, conn: str) -> None:
        """Count what the numbers said, which is in the segment already, and hear out a refusal."""
        counted = self._counted
        if notice.kind is not None:
            counted.gaps += notice.kind == "gap"
            counted.missing += notice.missing
            counted.repeats += notice.kind == "repeat"
            counted.restarts += notice.kind == "restart"
            self._tell_break(notice, conn)
            if notice.kind == "gap" and self._resync is not None:
                self._resync.suspect()
        if notice.arrived and self._resync is not None:
            self._resync.arrived()
        if notice.attend and frame.startswith(_ERROR_FRAME):
            self._refused(frame, conn)

    def _tell_break(self, notice: Notice, conn: str) -> None:
        """Log it; of many in a row, one a second. Each is in the segment."""
        now = asyncio.get_running_loop().time()
        if now - self._breaks_told_at >= 1:
            self._breaks_told_at = now
            was = notice.kind, notice.seen, notice.expected
            log.warning("%s: a %s, number %d where %d was due", conn, *was)

    def _refused(self, frame: bytes, conn: str) -> None:
        self._counted.refusals += 1
        message = frame.decode("utf-8", errors="replace")[:1000]
        log.warning("%s refused: %s", self._settings.url, message)
        self._event("refused", conn, message=message)

    def _event(self, kind: str, conn: str, **fields: object) -> None:
        self._writer.append_event(kind, capture_ns=self._clock_ns(), conn=conn, **fields)


async def _close_on(stop: asyncio.Event, socket: ClientConnection) -> None:
    await stop.wait()
    await socket.close()


async def _unless(stop: asyncio.Event, pause: Coroutine[Any, Any, None]) -> None:
    """Wait for the pause to pass, or for the stop, whichever comes first."""
    pausing = asyncio.ensure_future(pause)
    try:
        await _first_of(pausing, asyncio.ensure_future(stop.wait()))
    finally:
        pausing.cancel()


async def _first_of(wanted: asyncio.Future[None], stopping: asyncio.Future[Any]) -> None:
    """Wait until one of the two is done; the second is cancelled, the first left to the caller."""
    try:
        await asyncio.wait({wanted, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()


def _is_loopback(url: str) -> bool:
    """Whether a URL is on this machine, where no proxy is to be asked."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__

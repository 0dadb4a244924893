"""A proxy of bad networks in front of an HTTP server: what breaks, and when, is told beforehand.

It relays one exchange after the other and knows where a request and an answer begin and end, so a
fault hits the exchange it is meant for and the same test breaks the same way each time:

    with proxied(server.endpoint) as proxy:
        proxy.plan("PUT", Fault.LOSE_ANSWER, None, Fault.SLOW_DOWN)   # the next three PUTs

Latency and rate hold for all exchanges; ``down`` and ``up`` take the address away and give it back.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self
from urllib.parse import urlsplit

_PIECE = 1 << 16
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


class Fault(Enum):
    """What happens to one exchange."""

    REFUSE = auto()  # reset before the server hears of it
    SLOW_DOWN = auto()  # 503 SlowDown, and the server never hears of it
    RESET_UP = auto()  # reset in the middle of the request's body
    FLIP_UP = auto()  # one bit of the request's body is another
    LOSE_ANSWER = auto()  # the server does it, and its answer is lost in a reset
    STALL = auto()  # the server does it, and no answer comes while anyone waits
    STALL_DOWN = auto()  # the answer stops in the middle of its body
    RESET_DOWN = auto()  # reset in the middle of the answer's body
    FLIP_DOWN = auto()  # one bit of the answer's body is another, unless it is XML (see TLS)


@dataclass
class Message:
    """The head of a request or an answer, and how its body is delimited."""

    head: bytes

    @property
    def start(self) -> list[str]:
        return self.head.partition(b"\r\n")[0].decode("latin-1").split(" ")

    def header(self, name: str) -> str:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == name:
                return value.strip()
        return ""

    @property
    def length(self) -> int:
        return int(self.header("content-length") or 0)

    @property
    def waits(self) -> bool:
        """Whether the body comes only when the server says that it will take it."""
        return self.header("expect").lower() == "100-continue"


@dataclass
class Wire:
    """Both ways of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> Message:
        return Message(await self.reader.readuntil(b"\r\n\r\n"))


class _Reset(Exception):  # noqa: N818  # the way an exchange ends, not an error
    pass


class ChaosProxy:
    """See the module; made by `proxied`.

    Attributes:
        latency: Seconds that each message waits.
        rate: Bytes per second, each way; None is as fast as it goes.
        seen: Method and path of every request that arrived, in order.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._plans: dict[str, deque[Fault | None]] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos", daemon=True)
        self.port = 0
        self.latency = 0.0
        self.rate: float | None = None
        self.seen: list[tuple[str, str]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def plan(self, method: str, *faults: Fault | None) -> None:
        """Say what happens to the next requests with a method; None lets one through."""
        self._plans.setdefault(method, deque()).extend(faults)

    @property
    def planned(self) -> int:
        """How many exchanges still have a plan."""
        return sum(map(len, self._plans.values()))

    def down(self) -> None:
        """Refuse connections and reset those that stand."""
        self._call(self._down())

    def up(self) -> None:
        """Listen, at the same address as before."""
        self._call(self._up())

    def __enter__(self) -> Self:
        self._thread.start()
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _up(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _down(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._server = None

    # -- one connection -----------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        self._connections.add(connection)
        upstream = None
        try:
            upstream = Wire(*await asyncio.open_connection(*self._target))
            while await self._exchange(Wire(reader, writer), upstream):
                pass
        except (_Reset, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            _reset(writer)
        finally:
            self._connections.discard(connection)
            writer.close()
            if upstream is not None:
                upstream.writer.close()

    async def _exchange(self, client: Wire, server: Wire) -> bool:
        """Relay a request and its answer; return whether the connection goes on."""
        request = await client.head()
        method, path = request.start[:2]
        self.seen.append((method, path))
        plan = self._plans.get(method)
        fault = plan.popleft() if plan else None
        if fault is Fault.REFUSE:
            raise _Reset
        if fault is Fault.SLOW_DOWN:
            if not request.waits:
                await client.reader.readexactly(request.length)
            await _answer_slow_down(client.writer)
            return False
        await asyncio.sleep(self.latency)
        answer = await self._ask(request, fault, client, server)
        await asyncio.sleep(self.latency)
        if fault is Fault.LOSE_ANSWER:
            raise _Reset
        if fault is Fault.STALL:
            await _until_gone(client)
        client.writer.write(answer.head)
        if method != "HEAD" and answer.start[1] not in {"204", "304"}:
            await self._give_back(answer, fault, client, server)
        await client.writer.drain()
        return answer.header("connection").lower() != "close"

    async def _ask(
        self, request: Message, fault: Fault | None, client: Wire, server: Wire
    ) -> Message:
        server.writer.write(request.head)
        if request.waits:
            answer = await server.head()
            if answer.start[1] != "100":
                return answer
            client.writer.write(answer.head)
        then = _raise_reset if fault is Fault.RESET_UP else None
        flip = fault is Fault.FLIP_UP
        await self._body(client.reader, server.writer, request.length, flip=flip, then=then)
        answer = await server.head()
        while answer.start[1] == "100":  # some servers say it twice
            answer = await server.head()
        return answer

    async def _give_back(
        self, answer: Message, fault: Fault | None, client: Wire, server: Wire
    ) -> None:
        if answer.header("transfer-encoding").lower() == "chunked":
            await _chunks(server.reader, client.writer)
            return

        async def stall() -> None:
            await _until_gone(client)

        then = {Fault.RESET_DOWN: _raise_reset, Fault.STALL_DOWN: stall}.get(fault)
        flip = fault is Fault.FLIP_DOWN and "xml" not in answer.header("content-type")
        await self._body(server.reader, client.writer, answer.length, flip=flip, then=then)

    async def _body(self, source, sink, length: int, *, flip: bool, then) -> None:
        """Relay so many bytes; in their middle flip a bit, or let something else happen."""
        middle, done = length // 2, 0
        while done < length:
            end = middle if then and done < middle else length
            piece = await source.read(min(_PIECE, end - done))
            if not piece:
                raise _Reset
            if flip and done <= middle < done + len(piece):
                at = middle - done
                piece = piece[:at] + bytes([piece[at] ^ 4]) + piece[at + 1 :]
            sink.write(piece)
            await sink.drain()
            done += len(piece)
            if then and done == middle:
                await then()
            if self.rate is not None:
                await asyncio.sleep(len(piece) / self.rate)


async def _chunks(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    size = -1
    while size != 0:
        line = await source.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        sink.write(line + await source.readexactly(size + 2))


async def _answer_slow_down(writer: asyncio.StreamWriter) -> None:
    head = (
        "HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\n"
        f"Content-Length: {len(_SLOW_DOWN)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + _SLOW_DOWN)
    await writer.drain()


async def _raise_reset() -> None:
    raise _Reset


async def _until_gone(client: Wire) -> None:
    with suppress(OSError):
        await client.reader.read()  # whoever waits for an answer sends nothing more
    raise _Reset


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees a reset, not an end."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def proxied(target: str) -> Iterator[ChaosProxy]:
    """Put a proxy before the server at a URL."""
    with ChaosProxy(target) as proxy:
        yield proxy

"""A relay of bytes whose connections can be broken at will: the network between venue and us."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class Relay:
    """Relays TCP to one target; made by ``relayed``.

    Attributes:
        url: Where to connect instead of to the target.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = parts.hostname, parts.port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.url = ""

    def reset(self) -> None:
        """Break every connection without a word: what is on its way is lost."""
        self._loop.call_soon_threadsafe(self._reset)

    def stop(self) -> None:
        """Break every connection and end."""
        self._loop.call_soon_threadsafe(self._stop.set)

    async def serve(self, ready: threading.Event) -> None:
        """Relay until told to stop."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await self._stop.wait()
        server.close()
        self._reset()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _reset(self) -> None:
        for writer in self._writers:
            plug = writer.get_extra_info("socket")
            with suppress(OSError):  # one that is closed already
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, there_writer}
        self._writers |= both
        await asyncio.gather(
            _pump(reader, there_writer), _pump(there_reader, writer), return_exceptions=True
        )
        self._writers -= both
        for each in both:
            each.close()
            with suppress(OSError):
                await each.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


@contextmanager
def relayed(target: str) -> Iterator[Relay]:
    """Relay to a target for the length of a block."""
    relay, ready = Relay(target), threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(relay.serve(ready),), name="relay")
    thread.start()
    assert ready.wait(10)
    try:
        yield relay
    finally:
        relay.stop()
        thread.join()

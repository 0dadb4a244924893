"""A small client for these tests: it subscribes and keeps every frame."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

MARKET_CHANNELS = ("level2", "market_trades", "ticker", "ticker_batch", "candles", "status")
ALL_CHANNELS = ("heartbeats", *MARKET_CHANNELS)

Frame = dict[str, Any]


class Recorder:
    """Receives in the background until the connection is closed."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.texts: list[str] = []
        self.frames: list[Frame] = []
        self.closed: ConnectionClosed | None = None
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._receive())

    async def _receive(self) -> None:
        try:
            while True:
                text = await self.socket.recv(decode=True)
                self.texts.append(text)
                self.frames.append(json.loads(text))
                self._news.set()
        except ConnectionClosed as closed:
            self.closed = closed
        finally:
            self._news.set()

    async def say(self, kind: str, channel: object, *products: str, **fields: object) -> None:
        message = {"type": kind, "channel": channel, **fields}
        if products:
            message["product_ids"] = list(products)
        await self.socket.send(json.dumps(message))

    async def subscribe(self, channel: object, *products: str, **fields: object) -> None:
        await self.say("subscribe", channel, *products, **fields)

    async def until(self, condition: Callable[[list[Frame]], object], seconds: float = 10) -> None:
        """Wait until the frames received so far satisfy a condition."""
        async with asyncio.timeout(seconds):
            while not condition(self.frames):
                assert self.closed is None, f"closed while waiting: {self.closed}"
                self._news.clear()
                await self._news.wait()

    async def close(self) -> None:
        """Close as a client must to lose nothing: go on receiving to the very end."""
        await self.socket.close()
        await self.task

    def of(self, channel: str, kind: str | None = None) -> list[Frame]:
        """The events of a channel, in order."""
        return [
            event
            for frame in self.frames
            if frame.get("channel") == channel
            for event in frame["events"]
            if kind in {None, event.get("type")}
        ]


@asynccontextmanager
async def recording(url: str, **options: Any) -> AsyncIterator[Recorder]:
    options = {"compression": None, "max_size": None, "close_timeout": 30, **options}
    async with connect(url, **options) as socket:
        recorder = Recorder(socket)
        try:
            yield recorder
        finally:
            await recorder.close()

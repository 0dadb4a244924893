"""A venue that says exactly what a test tells it to, on a real socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve


class Venue:
    """Sends given frames to every client after its first message, then waits for its Close.

    Attributes:
        url: Where it listens.
        received: What clients sent, in order of arrival.
        connections: How many clients came.
        sent: Frames that were handed to a socket before its end.
    """

    def __init__(self, frames: Sequence[str | bytes], *, close_after: bool) -> None:
        self._frames = frames
        self._close_after = close_after
        self.received: list[str] = []
        self.connections = 0
        self.sent = 0
        self.url = ""

    def handle(self, socket: ServerConnection) -> None:
        """Serve one client."""
        self.connections += 1
        try:
            self.received.append(str(socket.recv()))
            for frame in self._frames:
                socket.send(frame)
                self.sent += 1
            if self._close_after:
                return
            while True:
                self.received.append(str(socket.recv()))
        except ConnectionClosed:
            pass


@contextmanager
def venue(frames: Sequence[str | bytes], *, close_after: bool = False) -> Iterator[Venue]:
    """Serve frames on loopback for the length of a block.

    Args:
        frames: Text or binary messages.
        close_after: Close each connection after the last frame.
    """
    here = Venue(frames, close_after=close_after)
    server: Server = serve(here.handle, "127.0.0.1", 0, max_size=None, compression=None)
    here.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        thread.join()

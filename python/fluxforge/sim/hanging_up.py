"""The ends of a connection that no websocket library offers: a reset, and a host that died."""

from __future__ import annotations

import asyncio
import socket
import struct

from websockets.asyncio.server import ServerConnection

_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)


def reset(connection: ServerConnection) -> None:
    """End TCP with a reset: what is on its way to the client may be lost."""
    if not connection.transport.is_closing():
        raw = connection.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
        connection.transport.abort()


def fall_silent(connection: ServerConnection, *, reset_after: float | None) -> None:
    """Hear and answer nothing any more, ping and Close included, while TCP stays.

    Args:
        connection: The connection.
        reset_after: Seconds until TCP is reset; None: never.
    """
    connection.transport.set_protocol(_DeadHost(connection))
    if reset_after is not None:
        asyncio.get_running_loop().call_later(reset_after, reset, connection)


class _DeadHost(asyncio.Protocol):
    """Stands before a connection and lets nothing through but its end.

    It goes on reading what it ignores: only so does it notice that the client has gone, and the
    exchange can stop counting frames for nobody.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def data_received(self, data: bytes) -> None:
        """Ignore it."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the connection know that it is over."""
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Say that the client reads too slowly what was sent before."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Say that it has caught up."""
        self._connection.resume_writing()

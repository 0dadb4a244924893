"""The one way out of the simulator for every frame of one connection.

In this order: number, envelope, hold until the turn ends, hand to the socket, journal. Frames are
numbered when they are put, so whatever is done to them afterwards shows to the client as the loss
or the change it is: a fault that is to withhold, repeat or alter frames belongs into ``flush``.
"""

from __future__ import annotations

from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from fluxforge.sim.journal import JournalWriter
from fluxforge.sim.wire import envelope

OVERFULL_BYTES = 1 << 20
_ERROR_FRAME = '{"type":"error"'


class Outbound:
    """Numbers, sends and journals the frames of one connection.

    Args:
        connection: The websocket.
        number: The connection's number in the journal.
        clock: Wall clock in nanoseconds.
        journal: Where to write down what was sent.
        client_id: The envelope's ``client_id``; None leaves the field out.
        loses: Asked for each numbered frame whether to withhold it; None withholds none.
    """

    def __init__(
        self,
        connection: ServerConnection,
        *,
        number: int,
        clock: Callable[[], int],
        journal: JournalWriter | None,
        client_id: str | None,
        loses: Callable[[], bool] | None = None,
    ) -> None:
        self._connection = connection
        self._number = number
        self._clock = clock
        self._journal = journal
        self._client_id = client_id
        self._loses = loses
        self._pending: list[str] = []
        self._sequence = 0
        self.frames_sent = 0

    @property
    def open(self) -> bool:
        """Whether frames can still reach the client: no Close went either way."""
        connection = self._connection
        return connection.protocol.state is State.OPEN and not connection.transport.is_closing()

    @property
    def blocked(self) -> bool:
        """Whether the client reads slower than we write: the socket's buffer is full."""
        return self._connection.paused and self.open

    @property
    def overfull(self) -> bool:
        """Whether so much is buffered that even what comes by the clock must be left out."""
        return self.buffered_bytes > OVERFULL_BYTES

    @property
    def buffered_bytes(self) -> int:
        """Bytes written that the operating system has not taken yet."""
        return self._connection.transport.get_write_buffer_size()

    def put(self, channel: str, events: str) -> None:
        """Number a frame and hold it for the next flush."""
        text = envelope(channel, self._clock(), self._sequence, events, self._client_id)
        self._sequence += 1
        self._pending.append(text)

    def put_error(self, message: str) -> None:
        """Hold an error frame, which has neither channel nor number."""
        self._pending.append(f'{_ERROR_FRAME},"message":"{message}"}}')

    def flush(self) -> None:
        """Hand what is held to the socket in one write, and journal it.

        After a Close went either way nothing is sent and nothing journaled: this and the write
        run without yielding, so no Close can come between the look and the deed.
        """
        pending, self._pending = self._pending, []
        if not pending or not self.open:
            return
        if self._loses is not None:
            pending = self._without_losses(pending, self._loses)
        protocol = self._connection.protocol
        for text in pending:
            protocol.send_text(text.encode())
        # One write for many frames: a system call each would halve the rate.
        self._connection.transport.write(b"".join(protocol.data_to_send()))
        self.frames_sent += len(pending)
        if self._journal is not None:
            now = self._clock()
            for text in pending:
                self._journal.frame(self._number, now, text)

    def _without_losses(self, pending: list[str], loses: Callable[[], bool]) -> list[str]:
        """Withhold some and journal them; never an error frame: who could know without a number?"""
        kept, now = [], self._clock()
        for text in pending:
            if text.startswith(_ERROR_FRAME) or not loses():
                kept.append(text)
            elif self._journal is not None:
                self._journal.withheld(self._number, now, text, why="lost")
        return kept

    async def drained(self) -> None:
        """Wait until the client has read enough, or the connection is gone."""
        try:
            await self._connection.drain()
        except OSError:
            return  # the connection broke: its handler sees it and says so

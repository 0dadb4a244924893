"""The one way out of the simulator for every frame of one connection.

In this order: what the venue does to the connection, number, envelope, what it does to the frame,
hold until the turn ends, hand to the socket, journal. Frames are numbered before anything is done
to them, so a fault shows to the client as the loss or the change it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from fluxforge.sim.conduct import Conduct
from fluxforge.sim.faults.fault import HangUp, Line, Note, Withheld
from fluxforge.sim.hanging_up import fall_silent
from fluxforge.sim.journal import JournalWriter
from fluxforge.sim.wire import envelope

OVERFULL_BYTES = 1 << 20
HALF_OPEN = "half-open"


class Outbound:
    """Numbers, sends and journals the frames of one connection.

    Args:
        connection: The websocket.
        number: The connection's number in the journal.
        clock: Wall clock in nanoseconds.
        journal: Where to write down what was sent.
        client_id: The envelope's ``client_id``; None leaves the field out.
        conduct: What the venue does to this connection that it should not.
        end: Ends the connection, for a reason.

    Attributes:
        number: As given.
        frames_sent: Frames handed to the socket.
        silent: Whether the venue has fallen silent on this connection.
    """

    def __init__(
        self,
        connection: ServerConnection,
        *,
        number: int,
        clock: Callable[[], int],
        journal: JournalWriter | None,
        client_id: str | None,
        conduct: Conduct,
        end: Callable[[HangUp, int, str], None],
    ) -> None:
        self._connection = connection
        self.number = number
        self._clock = clock
        self._journal = journal
        self._client_id = client_id
        self._conduct = conduct
        self._end = end
        self._ended = False
        self._pending: list[Line] = []
        self._sequence = 0
        self.frames_sent = 0
        self.silent = False

    @property
    def open(self) -> bool:
        """Whether frames can still reach the client: no Close went either way."""
        connection = self._connection
        return (
            connection.protocol.state is State.OPEN
            and not connection.transport.is_closing()
            and not self._ended
        )

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
        """Number a frame and hold what becomes of it for the next flush."""
        self._conduct.do_deeds(self)
        text = envelope(channel, self._clock(), self._sequence, events, self._client_id)
        self._sequence += 1
        self._pending.extend(self._conduct.treat(text))

    def put_error(self, message: str) -> None:
        """Hold an error frame, which has neither channel nor number."""
        self._pending.append(f'{{"type":"error","message":{json.dumps(message)}}}')

    def tick(self) -> None:
        """Do to the connection what falls due by the clock."""
        self._conduct.do_deeds(self)

    def flush(self) -> None:
        """Hand what is held to the socket in one write, and journal it.

        After a Close went either way nothing is sent and nothing journaled: this and the write
        run without yielding, so no Close can come between the look and the deed.
        """
        pending, self._pending = self._pending, []
        if not pending or not self.open:
            return
        if self.silent:
            pending = [
                Withheld(line, HALF_OPEN) if isinstance(line, str) else line for line in pending
            ]
        protocol, frames = self._connection.protocol, 0
        for line in pending:
            if isinstance(line, str):
                protocol.send_text(line.encode())
                frames += 1
        if frames:
            # One write for many frames: a system call each would halve the rate.
            self._connection.transport.write(b"".join(protocol.data_to_send()))
            self.frames_sent += frames
        if self._journal is not None:
            self._write_down(self._journal, pending)

    def _write_down(self, journal: JournalWriter, lines: list[Line]) -> None:
        now = self._clock()
        for line in lines:
            match line:
                case str():
                    journal.frame(self.number, now, line)
                case Withheld():
                    journal.withheld(self.number, now, line.text, why=line.why)
                case Note():
                    journal.event(self.number, now, line.event, **line.detail)

    async def drained(self) -> None:
        """Wait until the client has read enough, or the connection is gone."""
        try:
            await self._connection.drain()
        except OSError:
            return  # the connection broke: its handler sees it and says so

    # -- what deeds may do

    def note(self, event: str, **detail: Any) -> None:
        """Tell the journal, in its place between the frames."""
        self._pending.append(Note(event, detail))

    def restart_numbers(self) -> None:
        """Number the next frame 0."""
        self.note("restart", expected=self._sequence, seen=0)
        self._sequence = 0

    def hang_up(self, how: HangUp, *, code: int, reason: str) -> None:
        """Send what is held, and end the connection."""
        self.flush()
        if self.open:
            self._end(how, code, reason)
            self._ended = True

    def fall_silent(self, *, reset_after: float | None) -> None:
        """Send what is held; from then on be a host that died without a word."""
        if self.silent or not self.open:
            return
        self.note("half_open")
        self.flush()
        self.silent = True
        fall_silent(self._connection, reset_after=reset_after)

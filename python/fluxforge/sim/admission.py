"""Who may come in: the answer to a client's handshake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from fluxforge.sim.conduct import Misconduct
from fluxforge.sim.faults.connecting import RefuseConnections, SlowAccept
from fluxforge.sim.pacing import RateLimit

RATE_LIMITED = "rate limit exceeded"


class Admission:
    """Answers handshakes.

    Args:
        per_second: Connections allowed in a second; None allows all.
        misconduct: What the venue does that it should not.
        clock: Seconds of a monotonic clock.
        tell: Told what was done to a handshake: the journal's event and its fields.
    """

    def __init__(
        self,
        per_second: int | None,
        *,
        misconduct: Misconduct,
        clock: Callable[[], float],
        tell: Callable[..., Any],
    ) -> None:
        # The venue counts per address; all that reach a loopback server have the same one.
        self._limit = RateLimit(per_second)
        self._misconduct = misconduct
        self._clock = clock
        self._tell = tell
        self._over = asyncio.Event()

    async def admit(self, connection: ServerConnection, _request: Request) -> Response | None:
        """Return None to let a client in, or what refuses it."""
        if (slow := self._misconduct.holding(SlowAccept)) is not None:
            self._tell("handshake_delayed", delay=slow.delay)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), slow.delay)
        if (refusal := self._misconduct.holding(RefuseConnections)) is not None:
            self._tell("connection_refused", status=refusal.status)
            return _no(connection, HTTPStatus(refusal.status), "refused")
        if self._limit.allows(self._clock()):
            return None
        return _no(connection, HTTPStatus.TOO_MANY_REQUESTS, RATE_LIMITED)

    def stop(self) -> None:
        """Let nobody wait any longer."""
        self._over.set()


def _no(connection: ServerConnection, status: HTTPStatus, text: str) -> Response:
    return connection.respond(status, f"{text}\n")

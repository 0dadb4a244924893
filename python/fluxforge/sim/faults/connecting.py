"""Connections that take long, are refused, or end."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from fluxforge.sim.faults.fault import Deed, Fault, HangUp, Seconds, Way

CODES = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
"""What a Close frame may carry, by RFC 6455 and the registry of its codes."""


def _may_be_sent(code: int) -> int:
    if code not in CODES:
        raise ValueError(f"no Close frame may carry the code {code}; use 1000, 1012, 4000, …")
    return code


class SlowAccept(Fault):
    """Let every handshake of this time wait for its answer.

    Attributes:
        delay: Seconds.
    """

    fault: Literal["slow_accept"] = "slow_accept"
    delay: Seconds


class RefuseConnections(Fault):
    """Answer every handshake of this time with an HTTP error.

    Attributes:
        status: 429 (too many), 503 (down) or another.
    """

    fault: Literal["refuse_connections"] = "refuse_connections"
    status: Literal[401, 403, 404, 429, 500, 502, 503, 504] = 503


class Disconnect(Deed):
    """End connections; with ``every`` a storm.

    Attributes:
        how: ``close`` (a Close frame, and what was sent before arrives), ``drop`` (TCP ends
            without a Close, and what was sent before arrives) or ``reset`` (TCP is reset: what is
            on its way may be lost).
        code: The Close frame's code.
    """

    fault: Literal["disconnect"] = "disconnect"
    how: HangUp = "close"
    code: Annotated[int, AfterValidator(_may_be_sent)] = 1012

    def do(self, way: Way) -> None:
        """End it."""
        way.hang_up(self.how, code=self.code, reason=f"fault: {self.how}")

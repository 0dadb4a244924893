"""Subscriptions that are answered late, wrongly, or not at all."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fluxforge.sim.faults.fault import Channel, ConnectionFault, Deed, Seconds, Way


class LateAck(ConnectionFault):
    """Acknowledge what is asked for in this time later than usual, or never.

    Attributes:
        delay: Seconds, or ``never``.
    """

    fault: Literal["late_ack"] = "late_ack"
    delay: Seconds | Literal["never"]


class Refuse(ConnectionFault):
    """Refuse what is asked for in this time: by silence, or by an error frame.

    By silence a product is missing from acknowledgement and data, as one that the venue does not
    know. An error frame refuses the whole message: nothing of it is subscribed or acknowledged.

    Attributes:
        channel: Only on this channel.
        product: Only this product, by its id on the wire.
        message: The error frame's text; None refuses by silence.
    """

    fault: Literal["refuse"] = "refuse"
    channel: Channel | None = None
    product: str | None = None
    message: str | None = None

    def concerns(self, channel: str, name: str) -> bool:
        """Say whether it refuses a product on a channel."""
        return self.channel in {None, channel} and self.product in {None, name}


class LimitLevel2(ConnectionFault):
    """Allow fewer level2 products on a connection, so that asking for more is too many.

    Attributes:
        products: How many.
    """

    fault: Literal["limit_level2"] = "limit_level2"
    products: int = Field(ge=0)


class ErrorFrame(Deed):
    """Send an error frame that nobody asked for.

    Attributes:
        message: Its text.
    """

    fault: Literal["error"] = "error"
    message: str = "internal error"

    def do(self, way: Way) -> None:
        """Send it."""
        way.note("error", message=self.message)
        way.put_error(self.message)

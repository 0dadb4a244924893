"""Nothing comes: on one channel, or on the whole socket while TCP stays."""

from __future__ import annotations

from typing import Literal

from fluxforge.sim.faults.fault import Channel, ConnectionFault, Deed, Seconds, Way


class IdleChannel(ConnectionFault):
    """Publish nothing on a channel, not even the snapshot on subscribing.

    No number is used up: to the client it looks as if nothing happened there. Acknowledgements
    list the channel all the same.

    Attributes:
        channel: The channel; ``heartbeats`` too.
        product: Only this product.
    """

    fault: Literal["idle_channel"] = "idle_channel"
    channel: Channel
    product: str | None = None

    def concerns(self, channel: str, name: str) -> bool:
        """Say whether it silences a product on a channel."""
        return self.channel == channel and self.product in {None, name}


class HalfOpen(Deed):
    """Be a host that died without a word: nothing is sent, nothing heard, TCP stays.

    No ping is answered and no Close. The venue goes on to number frames, and the journal has them
    as withheld, as long as the client holds its end open.

    Attributes:
        reset_after: Seconds until the network says that nobody is there; None: never.
    """

    fault: Literal["half_open"] = "half_open"
    reset_after: Seconds | None = None

    def do(self, way: Way) -> None:
        """Fall silent."""
        way.fall_silent(reset_after=self.reset_after)

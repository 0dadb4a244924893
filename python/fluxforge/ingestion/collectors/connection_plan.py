"""Which products go over which socket.

A sequence number runs over everything on one connection, so what shares a socket shares its gaps.
Level2 is what limits a socket, so products are sharded by it and a connection carries all
channels of its products.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscribe message: one channel, its products.

    Attributes:
        channel: The channel's name as one subscribes to it.
        product_ids: The products asked for; empty for a channel without products.
    """

    channel: str
    product_ids: tuple[str, ...]

    def message(self, kind: Literal["subscribe", "unsubscribe"] = "subscribe") -> str:
        """Return the message to send."""
        message: dict[str, Any] = {"type": kind, "channel": self.channel}
        if self.product_ids:
            message["product_ids"] = self.product_ids
        return orjson.dumps(message).decode()


@dataclass(frozen=True, slots=True)
class ConnectionPlan:
    """One socket.

    Attributes:
        index: Its number, from 0 on.
        subscriptions: What to subscribe to, heartbeats first.
    """

    index: int
    subscriptions: tuple[Subscription, ...]

    @property
    def product_ids(self) -> tuple[str, ...]:
        """Return the products on this socket: what a gap on it taints."""
        named = (product for each in self.subscriptions for product in each.product_ids)
        return tuple(dict.fromkeys(named))

    def products_of(self, channel: str) -> tuple[str, ...]:
        """Return the products that a channel is subscribed for; none if it is not."""
        return _first(s.product_ids for s in self.subscriptions if s.channel == channel)


def take_shard(products: Sequence[str], index: int, count: int) -> list[str]:
    """Return one machine's share: every count-th product, from the index-th (from 1) on.

    Machines that list the same products in the same order share them out completely and without
    overlap; where the busiest come first, each machine gets its share of those too.
    """
    return list(products[index - 1 :: count])


def plan_connections(
    products: Sequence[str],
    channels: Sequence[str],
    *,
    products_per_connection: int,
    heartbeat_channel: str,
) -> list[ConnectionPlan]:
    """Shard products over connections.

    Args:
        products: Product ids, each once.
        channels: Channels to subscribe each product to; heartbeats are added always.
        products_per_connection: Most products on one socket.
        heartbeat_channel: The channel without products that keeps a socket alive.
    """
    with_products = [channel for channel in channels if channel != heartbeat_channel]
    return [
        ConnectionPlan(
            index,
            (
                Subscription(heartbeat_channel, ()),
                *(Subscription(channel, shard) for channel in with_products),
            ),
        )
        for index, shard in enumerate(_shards(products, products_per_connection))
    ]


def _shards(products: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(products[i : i + size]) for i in range(0, len(products), size)]


def _first(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return next(iter(groups), ())

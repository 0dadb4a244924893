"""Loading a feed's description."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from fluxforge.errors import FeedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How a collector speaks to the venue.

    Attributes:
        ws_url: The public market data's websocket.
        wire_channels: Subscribe-side channel name to the name its frames carry, where they differ.
        channels: Every channel that one can subscribe to, by its subscribe-side name.
        channels_without_products: Channels whose subscription names no products.
        heartbeat_channel: Keeps idle connections open and shows gaps; always subscribed.
        default_products: Products recorded unless the user names others.
        default_channels: Channels recorded unless the user names others.
        level2_channel: The channel whose products are limited per connection.
        level2_products_per_connection: Products of that channel on one connection by default.
        level2_products_per_connection_max: What the venue tolerates.
        connects_per_second: Connections opened per second at most.
        messages_per_second: Messages sent per second at most.
        idle_seconds: The venue closes connections that were silent for this long.
        max_message_bytes: Largest message to accept.
    """

    ws_url: str
    wire_channels: Mapping[str, str]
    channels: tuple[str, ...]
    channels_without_products: tuple[str, ...]
    heartbeat_channel: str
    default_products: tuple[str, ...]
    default_channels: tuple[str, ...]
    level2_channel: str
    level2_products_per_connection: int
    level2_products_per_connection_max: int
    connects_per_second: float
    messages_per_second: float
    idle_seconds: float
    max_message_bytes: int

    def wire_channel(self, channel: str) -> str:
        """Return the name that frames of a subscribed channel carry."""
        return self.wire_channels.get(channel, channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One venue.

    Attributes:
        name: The feed's name, and the directory of its segments and tables.
        spec: The description's bytes, for the native parser.
        tables: Names of the tables that its frames become, sorted.
        connection: How to connect.
    """

    name: str
    spec: bytes = field(repr=False)
    tables: tuple[str, ...]
    connection: Connection


def known_feeds() -> list[str]:
    """Return the names that ``load_feed`` knows, sorted."""
    names = (entry.name for entry in resources.files(__package__).iterdir())
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


@cache
def load_feed(name: str) -> Feed:
    """Load a feed's description.

    Raises:
        FeedError: There is no feed of that name, or its description makes no sense.
    """
    known = known_feeds()
    if name not in known:
        raise FeedError(f"there is no feed {name!r}; known feeds: {', '.join(known)}")
    spec = resources.files(__package__).joinpath(f"{name}.json").read_bytes()
    description = json.loads(spec)
    try:
        connection = Connection(**{k: _frozen(v) for k, v in description["connection"].items()})
    except (KeyError, TypeError) as error:
        raise FeedError(f"feed {name}: its connection is incomplete: {error}") from error
    return Feed(
        name=description["feed"],
        spec=spec,
        tables=tuple(sorted(description["tables"])),
        connection=connection,
    )


def _frozen(value: Any) -> Any:
    """Make a JSON value unchangeable: one description is shared by all who ask for it."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        return MappingProxyType(value)
    return value

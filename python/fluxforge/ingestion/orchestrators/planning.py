"""What a configuration asks for: sockets, before anything connects."""

from __future__ import annotations

from fluxforge.config import FluxForgeConfig
from fluxforge.config.shard import parse_shard
from fluxforge.errors import ConfigError
from fluxforge.feeds import load_feed
from fluxforge.ingestion.collectors import ConnectionPlan, plan_connections, take_shard


def plan_ingestion(config: FluxForgeConfig) -> list[ConnectionPlan]:
    """Return the sockets that a run will open.

    Raises:
        ConfigError: A channel that the feed does not have, or a shard without any product.
    """
    venue, connection = config.coinbase, load_feed(config.ingestion.source).connection
    known = connection.channels
    if unknown := [channel for channel in venue.channels if channel not in known]:
        raise ConfigError(
            f"coinbase.channels: {', '.join(unknown)} is no channel of this feed; "
            f"it has {', '.join(known)}."
        )
    return plan_connections(
        _share(config),
        venue.channels,
        products_per_connection=venue.level2_batch_size,
        heartbeat_channel=connection.heartbeat_channel,
    )


def _share(config: FluxForgeConfig) -> list[str]:
    """The products of this machine."""
    products, shard = config.coinbase.products, config.ingestion.shard
    if shard is None:
        return list(products)
    share = take_shard(products, *parse_shard(shard))
    if not share:
        raise ConfigError(
            f"ingestion.shard is {shard}, and of {len(products)} products none is left for it: "
            "run fewer machines, or name more products in coinbase.products"
        )
    return share

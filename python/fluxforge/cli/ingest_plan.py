"""``fluxforge ingest --plan``: what would be connected to, and what that would carry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fluxforge.cli.report import size
from fluxforge.config import FluxForgeConfig
from fluxforge.feeds import load_feed
from fluxforge.ingestion.collectors import ConnectionPlan, ExpectedLoad, expect
from fluxforge.ingestion.orchestrators import plan_ingestion


def plan_lines(config: FluxForgeConfig, *, events_per_second: float) -> Iterator[str]:
    """Say which sockets a run opens, what a gap on each taints and what to expect.

    Args:
        config: The configuration.
        events_per_second: Changes a second of each product's market.

    Raises:
        ConfigError: The configuration asks for what the feed does not have.
    """
    connection = load_feed(config.ingestion.source).connection
    plans = plan_ingestion(config)
    messages = sum(len(plan.subscriptions) for plan in plans)
    shard = f" (shard {config.ingestion.shard})" if config.ingestion.shard else ""
    yield f"{_many(len(plans), 'socket')} to {config.coinbase.ws_url}{shard}"
    yield (
        f"opened at most {connection.connects_per_second:g} a second, then "
        f"{_many(messages, 'message')}, "
        f"at most {connection.messages_per_second:g} a second over all"
    )
    for plan in plans:
        yield ""
        yield from _socket_lines(plan, expect([plan], events_per_second=events_per_second))
    yield ""
    yield f"in all: {_load(expect(plans, events_per_second=events_per_second))}"
    yield (
        f"This is an estimate for {events_per_second:g} market events a second and product (set "
        "--events-per-second), by the mean frame sizes of the simulated market. Snapshots come on "
        "top: a busy level2 book has up to 5 MB. The archive compresses raw."
    )


def _socket_lines(plan: ConnectionPlan, load: ExpectedLoad) -> Iterator[str]:
    yield f"socket {plan.index}"
    for subscription in plan.subscriptions:
        yield f"  {subscription.channel:<13} {_names(subscription.product_ids)}".rstrip()
    yield f"  a gap taints {_many(len(plan.product_ids), 'product')}: {_names(plan.product_ids)}"
    yield f"  expected: {_load(load)}"


def _load(load: ExpectedLoad) -> str:
    return (
        f"{load.frames:,.0f} frames/s, {size(round(load.bytes))}/s uncompressed, "
        f"{size(round(load.raw_bytes_per_day))} of raw a day"
    )


def _names(products: Sequence[str]) -> str:
    return ", ".join(products)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"

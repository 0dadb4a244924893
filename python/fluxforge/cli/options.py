"""The options that every command shares, and what they turn into."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from fluxforge.config import FluxForgeConfig, LoadedConfig, load_config_with_sources
from fluxforge.feeds import load_feed

log = logging.getLogger(__name__)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Configuration file. Default: FLUXFORGE_CONFIG, ./config.yaml, "
        "./config/config.yaml, the user's; none is fine.",
        show_default=False,
    ),
]
DataDirOption = Annotated[
    str | None,  # not a Path: that would fold the slashes of s3://bucket
    typer.Option(
        "--data-dir",
        "-d",
        help="Where data lies (storage.base_dir). Default: ./data",
        show_default=False,
    ),
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="Websocket to record; ws://127.0.0.1:PORT for the simulator (coinbase.ws_url).",
        show_default=False,
    ),
]
ProductsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--product",
        "-p",
        help="Product to record; may be repeated (coinbase.products). Default: BTC-USD and ETH-USD",
        show_default=False,
    ),
]
ChannelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--channel",
        help="Channel to record; may be repeated (coinbase.channels). "
        "Default: level2, ticker, market_trades; heartbeats always",
        show_default=False,
    ),
]


_FLAGS = {
    "storage.base_dir": "--data-dir",
    "coinbase.ws_url": "--url",
    "coinbase.products": "--product",
    "coinbase.channels": "--channel",
    "etl.workers": "--workers",
}


def load(
    config: Path | None,
    data_dir: str | None,
    *,
    url: str | None = None,
    products: list[str] | None = None,
    channels: list[str] | None = None,
    workers: int | None = None,
) -> LoadedConfig:
    """Load the configuration with the flags on top.

    Raises:
        ConfigError: Something in it is wrong.
        FeedError: ``ingestion.source`` is no feed.
    """
    overrides = {
        "storage": {"base_dir": data_dir},
        "coinbase": {"ws_url": url, "products": products or None, "channels": channels or None},
        "etl": {"workers": workers},
    }
    loaded = load_config_with_sources(config, overrides=overrides, flags=_FLAGS)
    load_feed(loaded.config.ingestion.source)
    return loaded


def configure(
    config: Path | None,
    data_dir: str | None,
    *,
    url: str | None = None,
    products: list[str] | None = None,
    channels: list[str] | None = None,
    workers: int | None = None,
) -> FluxForgeConfig:
    """Load the configuration as ``load`` does; log what is allowed but probably not meant."""
    loaded = load(config, data_dir, url=url, products=products, channels=channels, workers=workers)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    return loaded.config


def configure_logging(*, verbose: bool, name: str | None = None) -> None:
    """Log to standard error: coloured on a terminal, plain lines elsewhere.

    Args:
        verbose: Log more.
        name: Who says it, where several processes share one log.
    """
    says = f"{name}: %(message)s" if name else "%(message)s"
    console = Console(stderr=True)
    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(console=console, show_path=False)
        handler.setFormatter(logging.Formatter(says))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s {says}"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    for library in ("websockets", "botocore", "boto3", "urllib3", "s3transfer"):
        logging.getLogger(library).setLevel(logging.WARNING)

"""The Coinbase section."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fluxforge.config.section import Section, address, distinct

Channel = Literal[
    "level2", "ticker", "ticker_batch", "market_trades", "candles", "status", "heartbeats"
]


class CoinbaseConfig(Section):
    """The Coinbase Advanced Trade feed. Market data needs no key."""

    ws_url: Annotated[str, address("ws", "wss")] = "wss://advanced-trade-ws.coinbase.com"
    products: Annotated[tuple[str, ...], AfterValidator(distinct)] = ("BTC-USD", "ETH-USD")
    channels: Annotated[tuple[Channel, ...], AfterValidator(distinct)] = (
        "level2",
        "ticker",
        "market_trades",
        "heartbeats",
    )
    level2_batch_size: int = Field(
        10, ge=1, le=30, description="level2 products per connection; Coinbase refuses over 30"
    )
    silence_timeout: float = Field(
        15, gt=0, description="no frame at all for so long: the connection is made anew, s"
    )
    heartbeat_timeout: float = Field(
        10, gt=0, description="no heartbeat for so long: asked for anew, then reconnected, s"
    )
    channel_timeout: float = Field(
        300, gt=0, description="a channel that came before is silent: asked for anew, s"
    )
    resync_timeout: float = Field(
        30, gt=0, description="after a gap, books are whole again within, or reconnect, s"
    )
    resync_interval: float = Field(
        10, gt=0, description="a connection's books are asked for anew at most this often, s"
    )

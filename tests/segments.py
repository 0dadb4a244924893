"""Sealed segments for tests, written by the writer that ships."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path

from fluxforge.config import FluxForgeConfig
from fluxforge.ingestion.writers import LogWriter
from fluxforge.storage.factory import create_storage_backend, get_ingestion_path

# 2025-12-03T14:00:00Z
CAPTURE_NS = 1_764_770_400_000_000_000


def local(data_dir: Path, **etl) -> FluxForgeConfig:
    """A configuration for one directory."""
    return FluxForgeConfig.model_validate({"storage": {"base_dir": str(data_dir)}, "etl": etl})


def level2(product: str, sequence: int, *prices: float) -> bytes:
    """A level2 update as the wire has it."""
    return json.dumps(
        {
            "channel": "l2_data",
            "timestamp": "2025-12-03T14:00:00.5Z",
            "sequence_num": sequence,
            "events": [
                {
                    "type": "update",
                    "product_id": product,
                    "updates": [
                        {
                            "side": "bid",
                            "event_time": "2025-12-03T14:00:00.25Z",
                            "price_level": str(price),
                            "new_quantity": "2",
                        }
                        for price in prices
                    ],
                }
            ],
        },
        separators=(",", ":"),
    ).encode()


def trade(product: str, sequence: int, trade_id: str, price: float = 1.5) -> bytes:
    """A trade as the wire has it."""
    return json.dumps(
        {
            "channel": "market_trades",
            "timestamp": "2025-12-03T14:00:00.5Z",
            "sequence_num": sequence,
            "events": [
                {
                    "type": "update",
                    "trades": [
                        {
                            "trade_id": trade_id,
                            "product_id": product,
                            "price": str(price),
                            "size": "0.25",
                            "side": "BUY",
                            "time": "2025-12-03T14:00:00.123456789Z",
                        }
                    ],
                }
            ],
        },
        separators=(",", ":"),
    ).encode()


def write_segment(
    config: FluxForgeConfig, frames: Iterable[bytes], *, capture_ns: int = CAPTURE_NS
) -> Path:
    """Write frames a millisecond apart into one sealed segment; return where it lies."""

    async def write() -> None:
        writer = LogWriter(
            create_storage_backend(config.storage),
            active_path=get_ingestion_path(config.storage, "coinbase", "active"),
            ready_path=ready_path,
            quarantine_path=get_ingestion_path(config.storage, "coinbase", "quarantine"),
            source="coinbase",
        )
        for number, frame in enumerate(frames):
            writer.append(frame, capture_ns=capture_ns + number * 1_000_000, conn="test-0-1")
        await writer.close()

    ready_path = get_ingestion_path(config.storage, "coinbase", "ready")
    ready = Path(config.storage.base_dir) / ready_path
    before = set(ready.glob("*.ndjson"))
    asyncio.run(write())
    (segment,) = set(ready.glob("*.ndjson")) - before
    return segment

"""Ingest to be lost with its machine: says on stdout how much it has and how much of it is away.

A line is the moment (monotonic), the frames that are durable here, and how long the oldest of them
has waited to be in the storage too. So whatever was durable at moment - lag must be found there.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from fluxforge.config import load_config
from fluxforge.ingestion import IngestionPipeline

LOOK_SECONDS = 0.005


async def tell(pipeline: IngestionPipeline) -> None:
    while True:
        at, stats = time.monotonic(), pipeline.stats()
        if stats is not None and stats.connected and stats.shipping is not None:
            lag = stats.shipping.lag_seconds
            os.write(1, b"%.6f %d %.6f\n" % (at, stats.writer.frames, lag))
        await asyncio.sleep(LOOK_SECONDS)


async def ingest(config: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    pipeline = IngestionPipeline(load_config(Path(config)))
    teller = asyncio.create_task(tell(pipeline))
    try:
        await pipeline.run(stop)
    finally:
        teller.cancel()


asyncio.run(ingest(*sys.argv[1:]))

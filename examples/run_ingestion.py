"""Record a feed from Python: what ``fluxforge-ingest`` does, in a script of your own.

Reads the same configuration: config.yaml, then FLUXFORGE__ environment variables.
"""

from __future__ import annotations

import asyncio
import signal

from fluxforge.config import load_config
from fluxforge.ingestion.orchestrators import IngestionPipeline


async def main() -> None:
    """Record until SIGINT or SIGTERM; the open segment is sealed before this returns."""
    pipeline = IngestionPipeline(load_config())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    print("recording; Ctrl-C to stop", flush=True)
    await pipeline.run(stop)
    if stats := pipeline.stats():
        print(f"{stats.frames_received} frames, {stats.writer.segments_sealed} segments sealed")


if __name__ == "__main__":
    asyncio.run(main())

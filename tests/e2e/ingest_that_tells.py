"""Ingest to be killed: says on stdout how many frames it has reported durable, as it goes.

Stdout is the test's own file, which survives the process and knows nothing of its disk. The first
line comes with the connection.
"""

from __future__ import annotations

import asyncio
import os
import sys

from fluxforge.config import load_config
from fluxforge.ingestion import IngestionPipeline

LOOK_SECONDS = 0.001


async def tell(pipeline: IngestionPipeline) -> None:
    told = -1
    while True:
        stats = pipeline.stats()
        if stats is not None and stats.connected and stats.writer.frames > told:
            told = stats.writer.frames
            os.write(1, b"%d\n" % told)
        await asyncio.sleep(LOOK_SECONDS)


async def ingest(url: str, data_dir: str) -> None:
    given = {"storage": {"base_dir": data_dir}, "coinbase": {"ws_url": url}}
    pipeline = IngestionPipeline(load_config(overrides=given))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(tell(pipeline))
        tasks.create_task(pipeline.run(asyncio.Event()))


asyncio.run(ingest(*sys.argv[1:]))

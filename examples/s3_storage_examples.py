r"""Six things to do with a storage; the same code for S3 and for a local disk.

They use your configuration, so by default ./data. To run them on S3, with credentials from the
environment, ~/.aws or the machine's role:

    FLUXFORGE__STORAGE__BACKEND=s3 FLUXFORGE__STORAGE__BASE_DIR=my-bucket/try \
        python examples/s3_storage_examples.py

What is recorded comes from a simulated exchange; nothing is deleted but what an example made.
"""

from __future__ import annotations

import asyncio
import json

import polars as pl

import fluxforge
from fluxforge.config import FluxForgeConfig, load_config
from fluxforge.etl import ETLJob
from fluxforge.etl.readers import NDJSONReader
from fluxforge.ingestion.orchestrators import IngestionPipeline
from fluxforge.sim import SimulatedExchange
from fluxforge.storage.factory import (
    create_storage_backend,
    get_etl_input_path,
    get_etl_output_path,
)

SOURCE = "coinbase"


def example_1_objects(config: FluxForgeConfig) -> None:
    """Write, read, list and delete: five verbs, whatever the backend."""
    storage = create_storage_backend(config.storage)
    storage.write_bytes(b"hello", "examples/greeting.txt")
    print("written:", storage.get_full_path("examples/greeting.txt"))
    print("read back:", storage.read_bytes("examples/greeting.txt"))
    print("listed:", storage.list_files("examples", "*.txt"))
    storage.delete("examples/greeting.txt")


def example_2_one_winner(config: FluxForgeConfig) -> None:
    """Let any number of processes on any number of machines agree on one of them."""
    storage = create_storage_backend(config.storage)
    first = storage.create_new(b"worker-1", "examples/leader")
    second = storage.create_new(b"worker-2", "examples/leader")
    print("worker-1 won:", first, "- worker-2 won:", second)
    storage.delete("examples/leader")


async def example_3_record(config: FluxForgeConfig) -> None:
    """Record a feed; on S3 each segment goes up when it is sealed."""
    async with SimulatedExchange() as exchange:
        venue = config.coinbase.model_copy(update={"ws_url": exchange.url})
        pipeline = IngestionPipeline(config.model_copy(update={"coinbase": venue}))
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(1, stop.set)
        await pipeline.run(stop)
    stats = pipeline.stats()
    print("recorded:", stats.frames_received if stats else 0, "frames")


def example_4_look_into_a_segment(config: FluxForgeConfig) -> None:
    """Parse a segment where it lies, in a stream: no temporary file."""
    storage = create_storage_backend(config.etl_input_storage())
    ready = get_etl_input_path(config.etl_input_storage(), SOURCE)
    segment = storage.list_files(ready, "*.ndjson")[0]
    parsed = NDJSONReader(storage, SOURCE).read(segment)
    print(storage.get_full_path(segment), "holds", parsed.balance)
    # The first line says what it is. A part of an object can be read alone.
    first = next(storage.read_chunks(segment, stop=4096)).partition(b"\n")[0]
    print("its header:", json.loads(first))


def example_5_turn_into_parquet(config: FluxForgeConfig) -> None:
    """Run the ETL once; as many of these as you like may run at the same time."""
    report = ETLJob(config).run_once()
    for commit in report.committed:
        print("committed:", commit.segment, "as", len(commit.parts), "parts")


def example_6_read_the_lake(config: FluxForgeConfig) -> None:
    """Read what is committed; or open single files with a library of your own."""
    rows = fluxforge.scan(config, "level2", products=["BTC-USD"])
    print("level2 rows:", rows.select(pl.len()).collect().item())
    storage = create_storage_backend(config.etl_output_storage())
    table = get_etl_output_path(config.etl_output_storage(), SOURCE, "level2")
    part = storage.list_files(table, "*.parquet", recursive=True)[0]
    frame = pl.read_parquet(
        storage.get_full_path(part), storage_options=storage.get_storage_options("polars") or None
    )
    print(part, "has", frame.height, "of them")


def main() -> None:
    """Run all six, one after the other."""
    config = load_config()
    example_1_objects(config)
    example_2_one_winner(config)
    asyncio.run(example_3_record(config))
    example_4_look_into_a_segment(config)
    example_5_turn_into_parquet(config)
    example_6_read_the_lake(config)


if __name__ == "__main__":
    main()

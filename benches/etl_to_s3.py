"""What the lake lying on S3 costs the ETL, and how far storing parts hides behind encoding them.

    python benches/etl_to_s3.py [--megabytes 100] [--products 20] [--rounds 5] [--latency 0.02]

Against Ceph's radosgw on loopback, its disk in memory; both need the same CPUs, so `--latency` can
put a proxy between them that lets each request wait as a network would. In turns:

    disk         a segment on disk to a committed lake on disk
    s3           the same segment to a committed lake on S3
    encode       what S3 adds to it, in its halves: the segment's rows to parts, thrown away
    upload       ... those parts, encoded beforehand, to S3
    both         ... rows to parts on S3, each stored while the next is encoded

"both" is to stay within 1.3 times the larger of "encode" and "upload". Medians and their spread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import corpus
import orjson

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import s3_servers
from fluxforge.config import FluxForgeConfig
from fluxforge.etl import ETLJob
from fluxforge.etl.readers import NDJSONReader
from fluxforge.etl.recipe import Recipe
from fluxforge.etl.writers import ParquetWriter
from fluxforge.ledger import Ledger
from fluxforge.storage import LocalStorage, StorageBackend
from fluxforge.storage.factory import create_storage_backend
from segments import write_segment

GOAL = 1.3
RECIPE = Recipe(
    feed="coinbase",
    feed_xxh3="0" * 16,
    numbers="float64",
    timestamp_unit="ns",
    compression="zstd",
    compression_level=None,
    writer="bench",
    raw_per_part=10**9,
)
_PROXY = """
import sys
from chaos_proxy import proxied
with proxied(sys.argv[1]) as proxy:
    proxy.latency = float(sys.argv[2]) / 2
    print(proxy.endpoint, flush=True)
    sys.stdin.read()
"""


class Nowhere(LocalStorage):
    """Takes parts and forgets them; `kept` has them where it is asked to keep them."""

    def __init__(self, *, keep: bool = False) -> None:
        super().__init__("/nonexistent")
        self.kept: list[tuple[bytes, str]] | None = [] if keep else None

    def create_all(self, objects):
        created = []
        for data, key in objects:
            if self.kept is not None:
                self.kept.append((data, key))
            created.append(True)
        return created


@contextmanager
def distant(endpoint: str, latency: float) -> Iterator[str]:
    """A proxy in a process of its own, so that it does not share our interpreter lock."""
    tests = str(Path(__file__).parents[1] / "tests")
    with subprocess.Popen(
        [sys.executable, "-c", _PROXY, endpoint, str(latency)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([tests, os.environ["PYTHONPATH"]])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as proxy:
        try:
            yield proxy.stdout.readline().strip()
        finally:
            proxy.stdin.close()


def fresh(where: Path, raw: Path, output: dict[str, object] | None) -> ETLJob:
    """A job for one segment, in a lake of its own that was swept today."""
    ready = where / "raw" / "ready" / "coinbase"
    ready.mkdir(parents=True)
    (ready / raw.name).hardlink_to(raw)
    etl: dict[str, object] = {"raw_retention": "keep", "single_worker": True}
    if output is not None:
        etl["storage_output"] = output
    settings = {"storage": {"base_dir": str(where)}, "etl": etl}
    config = FluxForgeConfig.model_validate(settings)
    lake = create_storage_backend(config.etl_output_storage())
    Ledger(lake, path="processed/coinbase/_commits").mark_swept()
    return ETLJob(config)


def contenders(
    where: Path, raw: Path, config: Callable[[str], dict[str, object]], storage: StorageBackend
) -> dict[str, Callable[[str], Callable[[], object]]]:
    """Each prepares a turn of that name, and returns what is to be timed."""
    threads = len(os.sched_getaffinity(0))
    here = LocalStorage(raw.parent)

    def writer(to: StorageBackend, turn: str) -> ParquetWriter:
        return ParquetWriter(to, output_path=turn, recipe=RECIPE, threads=threads)

    rows = NDJSONReader(here, threads=threads).read(raw.name).partitions
    nowhere = Nowhere(keep=True)
    writer(nowhere, "parts").write(rows, uid="bench")
    parts = nowhere.kept or []
    print(f"{len(parts)} parts, {sum(len(data) for data, _ in parts) / 1e6:.1f} MB")

    def run(job: ETLJob) -> Callable[[], object]:
        def timed() -> None:
            report = job.run_once()
            assert (len(report.committed), report.exit_code) == (1, 0)

        return timed

    return {
        "disk": lambda turn: run(fresh(where / f"{turn}-disk", raw, None)),
        "s3": lambda turn: run(fresh(where / f"{turn}-s3", raw, config(turn))),
        "encode": lambda turn: lambda: writer(Nowhere(), turn).write(rows, uid="bench"),
        "upload": lambda turn: (
            lambda: storage.create_all([(data, f"{turn}/upload/{key}") for data, key in parts])
        ),
        "both": lambda turn: lambda: writer(storage, f"{turn}/both").write(rows, uid="bench"),
    }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--products", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0.0, help="of each request, seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fluxforge-bench-") as directory:
        where = Path(directory)
        lines = corpus.generate(products=options.products, size=options.megabytes * 10**6)
        frames = [orjson.dumps(orjson.loads(line)["data"]) for line in lines.splitlines()]
        local = FluxForgeConfig.model_validate({"storage": {"base_dir": str(where / "captured")}})
        raw = write_segment(local, frames)
        del lines, frames
        (where / "radosgw").mkdir()
        with s3_servers.radosgw_serving(where / "radosgw") as server:
            bucket = server.bucket()
            near = nullcontext(server.endpoint)
            with distant(server.endpoint, options.latency) if options.latency else near as address:
                storage = server.storage(bucket=bucket, endpoint_url=address)

                def config(turn: str) -> dict[str, object]:
                    return server.config(f"{bucket}/{turn}", endpoint_url=address)

                named = contenders(where, raw, config, storage)
                measure(named, options.rounds)


def measure(named: dict[str, Callable[[str], Callable[[], object]]], rounds: int) -> None:
    """Time the contenders in turns and print them, with the ratios of each round."""
    times: dict[str, list[float]] = {name: [] for name in named}
    for turn in range(rounds + 1):
        for name, prepare in named.items():
            timed = prepare(f"turn-{turn}")
            began = time.perf_counter()
            timed()
            if turn:  # the first warms up
                times[name].append(time.perf_counter() - began)
    for name, took in times.items():
        print(f"{name:8} {shown(took)} s")
    rows = list(zip(*times.values(), strict=True))
    print(f"s3 by disk {shown([s3 / disk for disk, s3, *_ in rows])}")
    overlap = [both / max(encode, upload) for _, _, encode, upload, both in rows]
    print(f"both by the larger {shown(overlap)}, goal {GOAL}")
    print(f"both by the sum {shown([both / (enc + up) for _, _, enc, up, both in rows])}")


def shown(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()

"""Segment to committed Parquet: FluxForge and its peers, interleaved, in one command.

    python benches/parquet_peers.py --products 20 --megabytes 100 --threads 1

The segment is one that capture wrote, with checkpoints, which FluxForge verifies and the others
read past. Needs Linux and the extra ``bench``; peers that are not installed are left out and named.
Every engine runs in its own process, pinned to as many CPUs as it has threads, on the same cached
file. The first run of each is a warm-up, after which all must agree on rows and sums.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import corpus
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from parquet_engines import ENGINES

from fluxforge._native import SegmentWriter

_SUMMED = {
    "level2": ("price_level", "new_quantity"),
    "ticker": ("price", "best_ask_quantity"),
    "market_trades": ("price", "size"),
}


class Contender:
    """An engine's process, and what its runs cost."""

    def __init__(self, engine: str, raw: Path, scratch: Path, threads: int) -> None:
        self.engine = engine
        self._outputs = scratch / engine.replace(" ", "")
        self._process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("parquet_contender.py")),
                engine,
                str(raw),
                str(threads),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # polars reads its number of threads when it is imported.
            env={**os.environ, "POLARS_MAX_THREADS": str(threads)},
        )
        self.runs: list[dict[str, float]] = []
        self.sums: dict[str, list[float]] = {}
        self.size, self.parts = 0, 0
        self.alive = self._answer() == "ready"

    def _answer(self) -> str:
        return self._process.stdout.readline().strip()

    def run(self, *, warm_up: bool = False) -> None:
        if not self.alive:
            return
        # All are removed at the end: ext4 skips inodes deleted lately, one by one.
        out = self._outputs / str(len(self.runs) if not warm_up else "warm-up")
        self._process.stdin.write(f"{out}\n")
        self._process.stdin.flush()
        answer = self._answer()
        if not answer:
            self.alive = False
            return
        if warm_up:
            parts = [path for path in out.rglob("*") if path.suffix == ".parquet"]
            self.parts, self.size = len(parts), sum(path.stat().st_size for path in parts)
            self.sums = {table: _sums(out, table) for table in _SUMMED}
        else:
            self.runs.append(json.loads(answer))

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def median(self, figure: str) -> float:
        return median(run[figure] for run in self.runs)

    def row(self, megabytes: float, reference: float) -> str:
        seconds = sorted(run["seconds"] for run in self.runs)
        rates = f"{megabytes / seconds[-1]:.0f}-{megabytes / seconds[0]:.0f}"
        peak = max(run["peak"] for run in self.runs)
        return (
            f"{self.engine:24}{megabytes / self.median('seconds'):8.0f}{rates:>12}"
            f"{self.median('cpu'):8.2f}{peak / 1e6:9.0f}{self.size / 1e6:8.2f}{self.parts:7}"
            f"{self.median('seconds') / reference:8.2f}"
        )


def _capture(raw: Path, *, products: int, size: int) -> None:
    """Write the corpus as capture would: one sealed segment."""
    with tempfile.TemporaryDirectory(dir=raw.parent) as directory:
        stages = [Path(directory, stage) for stage in ("active", "ready", "quarantine")]
        for stage in stages:
            stage.mkdir()
        writer = SegmentWriter(
            *map(str, stages),
            source="coinbase",
            segment_max_bytes=1 << 40,
            segment_max_seconds=1e9,
            queue_max_bytes=2 * size + (64 << 20),  # a frame is queued with its envelope
            durability="os",
        )
        for line in corpus.generate(products=products, size=size).splitlines():
            envelope, _, frame = line.partition(b'"data":')
            writer.append(frame[:-1], _nanoseconds(envelope.split(b'"')[3]), "c0")
        writer.close()
        (segment,) = stages[1].iterdir()
        segment.rename(raw)


def _nanoseconds(time: bytes) -> int:
    seconds, _, fraction = time.decode().removesuffix("Z").partition(".")
    whole = int(datetime.fromisoformat(f"{seconds}+00:00").timestamp())
    return whole * 10**9 + int(fraction.ljust(9, "0"))


def _sums(out: Path, table: str) -> list[float]:
    parts = [str(p) for p in out.rglob("*.parquet") if table in p.relative_to(out).parts]
    rows = ds.dataset(parts, format="parquet").to_table(columns=list(_SUMMED[table]))
    return [
        rows.num_rows,
        *(pc.sum(rows[name].cast(pa.float64())).as_py() for name in rows.column_names),
    ]


def _disagreement(contenders: list[Contender]) -> str | None:
    first = contenders[0]
    for other in contenders[1:]:
        for table, sums in first.sums.items():
            pairs = zip(sums, other.sums[table], strict=True)
            if not all(math.isclose(a, b, rel_tol=1e-9) for a, b in pairs):
                return f"{table}: {first.engine} {sums}, {other.engine} {other.sums[table]}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=20)
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", action="append", choices=list(ENGINES), help="default: all")
    parser.add_argument("--scratch", type=Path, help="a directory on the disk to measure")
    chosen: Any = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parquet-peers-", dir=chosen.scratch) as directory:
        scratch = Path(directory)
        raw = scratch / "raw.ndjson"
        _capture(raw, products=chosen.products, size=int(chosen.megabytes * 1e6))
        megabytes = raw.stat().st_size / 1e6
        everyone = [
            Contender(engine, raw, scratch, chosen.threads) for engine in chosen.engine or ENGINES
        ]
        for contender in everyone:
            contender.run(warm_up=True)
        contenders = [contender for contender in everyone if contender.alive]
        if problem := _disagreement(contenders):
            print(problem, file=sys.stderr)
            return 1
        for _ in range(chosen.rounds):
            for contender in contenders:
                contender.run()
        for contender in everyone:
            contender.close()
    print(
        f"{megabytes:.0f} MB, {chosen.products} products, {chosen.threads} thread(s), medians of "
        f"{chosen.rounds} interleaved runs; {sum(int(s[0]) for s in contenders[0].sums.values())} "
        "rows, all agree"
    )
    print(
        f"{'':24}{'MB/s':>8}{'slow-fast':>12}{'CPU s':>8}{'peak MB':>9}{'out MB':>8}{'parts':>7}"
        f"{'time x':>8}"
    )
    reference = contenders[0].median("seconds")
    for contender in sorted(contenders, key=lambda c: c.median("seconds")):
        print(contender.row(megabytes, reference))
    for contender in everyone:
        if not contender.alive:
            print(f"{contender.engine}: not installed, or it failed (see above)")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""FluxForge and its peers on the same file: NDJSON to Arrow, side by side.

    pip install '.[bench]' && python benches/peers_parse.py --megabytes 100 --rounds 5

Every measurement is a process of its own; rounds are interleaved, so that a busy moment hits all.
In each, the engine reads a small file first, then the corpus twice: the first reading gives the
peak of memory above the one before it, the second the time. All engines must agree on rows and
sums. Printed are medians; the ratio is FluxForge's speed by the engine's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from corpus import generate
from parse_engines import ENGINES, SHAPES, SINGLE, Tables

_BEGIN_US = 1_764_770_400_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--products", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shuffled", action="store_true", help="every object's keys in any order")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(*chosen.measure, threads=chosen.threads)))
        return
    with tempfile.TemporaryDirectory() as directory:
        small, corpus = Path(directory, "small.ndjson"), Path(directory, "corpus.ndjson")
        make = {"products": chosen.products, "shuffled": chosen.shuffled}
        small.write_bytes(generate(size=200_000, **make))
        corpus.write_bytes(generate(size=int(chosen.megabytes * 1e6), **make))
        names = [e for e in chosen.engines.split(",") if chosen.threads == 1 or e not in SINGLE]
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for _ in range(chosen.rounds):
            for name in names:
                runs[name].append(_run(name, small, corpus, chosen.threads))
        _check(runs)
        _report(runs, corpus.stat().st_size)


def _run(name: str, small: Path, corpus: Path, threads: int) -> dict[str, Any]:
    command = [
        sys.executable,
        __file__,
        "--threads",
        str(threads),
        "--measure",
        name,
        small,
        corpus,
    ]
    # Engines that ask for the machine's size are told it here; the rest are told in the call.
    sizes = dict.fromkeys(
        ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "TOKIO_WORKER_THREADS"), str(threads)
    )
    cores = sorted(os.sched_getaffinity(0))[:threads]
    done = subprocess.run(
        ["taskset", "-c", ",".join(map(str, cores)), *map(str, command)],
        env=os.environ | sizes, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measure(name: str, small: str, corpus: str, *, threads: int) -> dict[str, Any]:
    """Read the small file, then the corpus for memory, then again for time."""
    parse = ENGINES[name]
    parse(small, threads)
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    tables = parse(corpus, threads)
    peak = _memory("VmHWM") - before
    sums = _sums(tables)
    del tables
    wall, cpu = time.perf_counter(), time.process_time()
    parse(corpus, threads)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"seconds": wall, "cpu": cpu, "peak": peak, "sums": sums}


def _memory(what: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(f"{what}:"))


def _sums(tables: Tables) -> dict[str, list[float]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    result: dict[str, list[float]] = {}
    for name, shape in SHAPES.items():
        table = pa.table(tables[name])
        sums = [pc.sum(table[column]).as_py() for column in shape[5]]
        # Microseconds are what all can hold; counted from the corpus' first, their sum fits.
        micros = table["capture_ts"].cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
        result[name] = [len(table), pc.sum(pc.subtract(micros, _BEGIN_US)).as_py(), *sums]
    return result


def _check(runs: dict[str, list[dict[str, Any]]]) -> None:
    (reference, first), *others = ((name, run[0]["sums"]) for name, run in runs.items())
    for name, sums in others:
        for table, wanted in first.items():
            same = all(
                abs(a - b) <= 1e-9 * abs(a) for a, b in zip(wanted, sums[table], strict=True)
            )
            if not same:
                raise SystemExit(
                    f"{name} and {reference} differ in {table}: {sums[table]} {wanted}"
                )


def _report(runs: dict[str, list[dict[str, Any]]], size: int) -> None:
    middle = {
        name: {key: median(run[key] for run in of) for key in ("seconds", "cpu", "peak")}
        for name, of in runs.items()
    }
    rows = sum(table[0] for table in next(iter(runs.values()))[0]["sums"].values())
    own = next(iter(middle.values()))
    print(f"{size / 1e6:.0f} MB, {rows:.0f} rows; medians of {len(next(iter(runs.values())))}")
    heads = ("MB/s", 7), ("spread", 12), ("Mrows/s", 9), ("CPU s", 7), ("peak MB", 9)
    print(
        " " * 14
        + "".join(f"{head:>{width}}" for head, width in (*heads, ("ratio", 7), ("by CPU", 8)))
    )
    for name, of in middle.items():
        rates = sorted(size / 1e6 / run["seconds"] for run in runs[name])
        print(
            f"{name:14}{size / 1e6 / of['seconds']:7.0f}{f'{rates[0]:.0f}-{rates[-1]:.0f}':>12}"
            f"{rows / 1e6 / of['seconds']:9.2f}{of['cpu']:7.2f}{of['peak']:9.0f}"
            f"{of['seconds'] / own['seconds']:7.1f}{of['cpu'] / own['cpu']:8.1f}"
        )


if __name__ == "__main__":
    main()

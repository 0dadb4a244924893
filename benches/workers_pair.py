"""Two workers on one backlog beside two ETLs that know nothing of each other, half of it each.

What keeping apart costs: claims, looks that were in vain, waiting for the last segment. On a
machine with two CPUs or more:

    python benches/workers_pair.py [--runs 5] [--segments 8] [--megabytes 10]
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import corpus
import orjson

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from segments import local, write_segment

CPUS = [str(cpu) for cpu in sorted(os.sched_getaffinity(0))[:2]]
ETL = str(Path(sys.executable).parent / "fluxforge-etl")
WHAT = ("by the clock", "by CPU time")
READY = "raw/ready/coinbase"


def etl(data: Path, *options: str, cpus: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["taskset", "--cpu-list", cpus, ETL, "--once", "--data-dir", str(data), *options],
        env={**os.environ, "FLUXFORGE__ETL__RAW_RETENTION": "delete"},
        stderr=subprocess.DEVNULL,
    )


def put(segments: list[Path], data: Path) -> Path:
    ready = data / READY
    ready.mkdir(parents=True)
    for segment in segments:
        os.link(segment, ready / segment.name)
    return data


def together(segments: list[Path], where: Path) -> tuple[float, float]:
    data = put(segments, where)
    return timed([lambda: etl(data, "--workers", "2", cpus=",".join(CPUS))])


def apart(segments: list[Path], where: Path) -> tuple[float, float]:
    halves = [put(segments[first::2], where / str(first)) for first in range(2)]
    pairs = zip(halves, CPUS, strict=True)
    return timed([lambda half=half, cpu=cpu: etl(half, cpus=cpu) for half, cpu in pairs])


def timed(starts: list) -> tuple[float, float]:
    """Seconds by the clock, and of the CPUs: on a busy machine only these can be compared."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    running = [start() for start in starts]
    for process in running:
        assert process.wait() == 0
    took = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--segments", type=int, default=8)
    parser.add_argument("--megabytes", type=int, default=10)
    options = parser.parse_args()
    ratios: dict[str, list[float]] = {what: [] for what in WHAT}
    with tempfile.TemporaryDirectory(prefix="fluxforge-bench-") as directory:
        where = Path(directory)
        lines = corpus.generate(products=20, size=options.megabytes * 10**6).splitlines()
        frames = [orjson.dumps(orjson.loads(line)["data"]) for line in lines]
        segments = [write_segment(local(where / "raw"), frames) for _ in range(options.segments)]
        for run in range(options.runs):
            pair = {}
            # In turns: whoever goes second finds the machine as the first one left it.
            for measure in (together, apart) if run % 2 else (apart, together):
                home = where / f"run-{run}-{measure.__name__}"
                pair[measure.__name__] = measure(segments, home)
                shutil.rmtree(home)
            for of, what in enumerate(WHAT):
                ratios[what].append(pair["apart"][of] / pair["together"][of])
            print({name: f"{clock:.2f} s, {cpu:.2f} CPU s" for name, (clock, cpu) in pair.items()})
    for what, measured in ratios.items():
        middle, low, high = statistics.median(measured), min(measured), max(measured)
        print(f"two workers reach {middle:.2f} ({low:.2f} to {high:.2f}) {what}")


if __name__ == "__main__":
    main()

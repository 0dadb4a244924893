"""Does cost grow with a segment's size, and nothing else? 1 MB to 10 GB, streamed to Arrow.

    python benches/linear_parse.py --largest 10000 --directory /somewhere/with/room

Each size is one block of the corpus repeated, read from a file in a process of its own in stretches
of the default memory budget; rows are dropped as soon as they are there. The file is removed again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from corpus import generate

_BLOCK = 32_000_000
_SIZES = (1, 10, 100, 1_000, 10_000)


def main() -> None:
    """Measure every size up to the largest and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=1_000, help="megabytes")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each size up to 1 GB")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--directory", type=Path, help="where the file goes; needs its size")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(_parse(chosen.child, chosen.threads)))
        return
    block = generate(size=_BLOCK)
    sizes = [size for size in _SIZES if size <= chosen.largest]
    print("       MB     MB/s        spread     CPU s/GB   peak MB        rows")
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=chosen.directory) as root:
            path = Path(root, "segment.ndjson")
            _write(path, block, size * 10**6)
            rounds = chosen.rounds if size <= 1_000 else 1
            runs = [_run(path, chosen.threads) for _ in range(rounds)]
            bytes_ = path.stat().st_size
        rates = sorted(bytes_ / 1e6 / run["seconds"] for run in runs)
        cpu = median(run["cpu"] for run in runs) / bytes_ * 1e9
        peak = max(run["peak"] for run in runs)
        spread = f"{rates[0]:.0f}-{rates[-1]:.0f}"
        print(f"{size:9,}{median(rates):9.0f}{spread:>14}{cpu:13.2f}{peak:10.0f}", end="")
        print(f"{runs[0]['rows']:12,}")


def _write(path: Path, block: bytes, size: int) -> None:
    """Fill a file with whole lines of about so many bytes."""
    with path.open("wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
        rest = size - file.tell()
        file.write(block[: block.find(b"\n", rest) + 1] if rest else b"")


def _run(path: Path, threads: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", str(path), "--threads", str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _parse(path: Path, threads: int) -> dict[str, Any]:
    from fluxforge.config import ETLConfig
    from fluxforge.etl.readers import NDJSONReader
    from fluxforge.storage import LocalStorage

    stretch = ETLConfig().memory_max_mb * 10**6 // 2
    reader = NDJSONReader(LocalStorage(path.parent), threads=threads)
    before = _memory("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    stream = reader.stream(path.name, stretch=stretch)
    while True:
        try:
            next(stream)
        except StopIteration as end:
            parsed = end.value
            break
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if not parsed.balance.holds() or parsed.balance.rejected:
        raise SystemExit(f"the corpus is sound, its books are not: {parsed.balance}")
    rows = sum(parsed.balance.rows.values())
    return {"seconds": wall, "cpu": cpu, "peak": _memory("VmHWM") - before, "rows": rows}


def _memory(what: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(f"{what}:"))


if __name__ == "__main__":
    main()

"""One engine in a process of its own: it says what each run cost, for ``parquet_peers.py``.

Reads one output directory per line from stdin and answers with one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from parquet_engines import ENGINES, PREPARED


def main() -> None:
    engine, raw, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    # Before the libraries are loaded, so that they see no more CPUs than they may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    run = ENGINES[engine]()
    baseline = _memory("VmRSS")
    print("ready", flush=True)
    for line in sys.stdin:
        out = Path(line.strip())
        out.mkdir(parents=True)
        if prepare := PREPARED.get(engine):
            prepare(raw, out)
        # Forgets the highest memory use so far.
        Path("/proc/self/clear_refs").write_text("5")
        before = os.times()
        start = time.perf_counter()
        run(raw, out, threads)
        seconds = time.perf_counter() - start
        after = os.times()
        cpu = after.user + after.system - before.user - before.system
        peak = _memory("VmHWM") - baseline
        print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak}), flush=True)


def _memory(field: str) -> int:
    """Return a figure of the kernel's about this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


if __name__ == "__main__":
    main()

"""The writer against its goals: one command, one run, one disk, everything interleaved.

    cargo build --release && python benches/append_report.py

Needs Linux, cargo and some 10 GB on the disk that is measured (``--scratch``). In each round every
engine runs at every rate, one after another, so that a busy moment hits all; ratios are made
within a round. Printed are medians over the rounds, and their spread in brackets.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import append_probes
from append_engines import ENGINES, Run
from append_frames import make_frames

_ROOT = Path(__file__).parents[1]
_FLOOR = "floor (Rust)"
_RATES = (1_000, 10_000, 100_000, 1_000_000, 0)
_TURNS = (*_RATES, 0, 0)  # in a round; where engines are compared, they take turns more often
_MIB = 1 << 20

Runs = dict[tuple[str, int], list[Run]]


class Floor:
    """The example in Rust, a process per run."""

    def __init__(self) -> None:
        build = ["cargo", "build", "-q", "--release", "-p", "fluxforge-core", "--example"]
        subprocess.run([*build, "append_floor"], cwd=_ROOT, check=True)
        target = Path(os.environ.get("CARGO_TARGET_DIR", _ROOT / "target"))
        self._path = target / "release" / "examples" / "append_floor"

    def _ask(self, *arguments: object) -> dict[str, Any]:
        command = [str(self._path), *map(str, arguments)]
        answer = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        result: dict[str, Any] = json.loads(answer)
        return result

    def pace(self, frames: Path, out: Path, rate: int, seconds: float, group: int) -> Run:
        result = self._ask("pace", frames, out, rate, seconds, group)
        offered = int(rate * seconds) if rate else result["frames"]
        return Run(offered=offered, **result)

    def crc_ns(self, *files: Path) -> int:
        took: int = self._ask("crc", *files)["took"]
        return took


def pace_all(floor: Floor, scratch: Path, rounds: int, seconds: float) -> Runs:
    """Every engine at every rate, round after round."""
    frames = make_frames(20_000)
    (scratch / "frames").write_bytes(b"\n".join(frames))
    runs: Runs = defaultdict(list)
    spawn = get_context("spawn")
    pools = {name: ProcessPoolExecutor(1, spawn) for name in ENGINES}
    for number in range(rounds):
        place = scratch / f"round{number}"
        for turn, rate in enumerate(_TURNS):
            for name, engine in ENGINES.items():
                directory = place / f"{name}{turn}"
                directory.mkdir(parents=True)
                run = pools[name].submit(engine, directory, frames, rate, seconds).result()
                runs[name, rate].append(run)
            own = runs["LogWriter", rate][-1]
            # As large as the writer's own groups where it is never out of work.
            group = _MIB if rate else own.bytes // own.groups
            out = place / f"floor{turn}"
            runs[_FLOOR, rate].append(floor.pace(scratch / "frames", out, rate, seconds, group))
        shutil.rmtree(place)
    for pool in pools.values():
        pool.shutdown()
    return runs


def recover_all(floor: Floor, scratch: Path, rounds: int) -> dict[str, list[float]]:
    """Recovering a torn segment, beside reading and summing it, and beside copying it."""
    torn = append_probes.torn_segment(scratch / "torn", 256 * _MIB)
    times: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        place = scratch / f"recovery{number}"
        for name in ("active", "ready", "quarantine"):
            (place / name).mkdir(parents=True)
        copy = place / "active" / torn.name
        times["copied"].append(floor.crc_ns(torn, copy))
        times["read"].append(floor.crc_ns(copy))
        wall, cpu = append_probes.ask(append_probes.recovery_ns, place)
        times["recovered"].append(wall)
        times["computed"].append(cpu)
        shutil.rmtree(place)
    return times


def _spread(values: list[float], form: str = ".2f") -> str:
    return f"{median(values):{form}} [{min(values):{form}}-{max(values):{form}}]"


def _rate(run: Run) -> float:
    return run.frames / run.took * 1e9


def print_runs(runs: Runs) -> None:
    print(
        f"{'offered/s':>10} {'':25}{'durable/s':>25}{'taken':>7}"
        f"{'lag ms p50':>12}{'p99':>22}{'p99.9':>8}{'CPU us':>22}{'user':>7}{'system':>8}"
    )
    for rate in _RATES:
        for name in ("LogWriter", _FLOOR, *list(ENGINES)[1:]):
            of = runs[name, rate]
            lags = [[run.lag[at] / 1e6 for run in of] for at in range(3)]
            taken = median(run.frames / run.offered for run in of)
            user, system = (
                median(getattr(run, part) / run.frames / 1e3 for run in of)
                for part in ("user", "system")
            )
            print(
                f"{rate or 'all':>10} {name:25}{_spread([_rate(r) for r in of], '.0f'):>25}"
                f"{min(taken, 1):7.1%}{median(lags[0]):12.2f}{_spread(lags[1], '.1f'):>22}"
                f"{median(lags[2]):8.1f}  {_spread([r.cpu / r.frames / 1e3 for r in of]):>20}"
                f"{user:7.2f}{system:8.2f}"
            )


def print_goals(
    runs: Runs, costs: list[float], memories: list[float], times: dict[str, list[float]]
) -> int:
    """One line per goal; returns how many are missed."""
    missed = 0

    def goal(what: str, limit: float, values: list[float], *, least: bool = False) -> None:
        nonlocal missed
        reached = median(values) >= limit if least else median(values) <= limit
        missed += not reached
        wanted = f"{'>=' if least else '<='} {limit:.3g}"
        verdict = "reached" if reached else "MISSED"
        print(f"{what:58}{wanted:>9}{_spread(values, '.3g'):>24}  {verdict}")

    def remark(what: str, values: list[float]) -> None:
        """What no goal is set for, but tells what a goal could be."""
        print(f"  {what:56}{'':9}{_spread(values, '.3g'):>24}")

    def by(
        figure: Callable[[Run], float], name: str, rate: int = 0, of: str = "LogWriter"
    ) -> list[float]:
        pairs = zip(runs[of, rate], runs[name, rate], strict=True)
        return [figure(own) / figure(other) for own, other in pairs]

    for rate in _RATES[:3]:
        accepted = [min(r.frames / r.offered, 1.0) for r in runs["LogWriter", rate]]
        goal(f"accepted of {rate} frames/s", 0.99, accepted, least=True)
    own = [run for rate in _RATES for run in runs["LogWriter", rate]]
    goal("frames dropped", 0, [run.dropped for run in own])
    group = median(run.bytes / run.groups for run in runs["LogWriter", 0]) / 1e3
    speed = by(lambda run: run.bytes / run.took, _FLOOR)
    goal(f"bytes/s by the floor's, groups of {group:.0f} kB", 0.9, speed, least=True)
    goal("frames/s by the predecessor's", 15, by(_rate, "predecessor"), least=True)
    remark("the floor's, which is what the disk allows", by(_rate, "predecessor", of=_FLOOR))

    def cpu(run: Run) -> float:
        return run.cpu / run.frames

    def user(run: Run) -> float:
        return run.user / run.frames

    goal("CPU per frame by the predecessor's", 1 / 15, by(cpu, "predecessor"))
    remark("the floor's, which is what the kernel allows", by(cpu, "predecessor", of=_FLOOR))
    remark("user time alone, without the kernel's", by(user, "predecessor"))
    remark("user time alone, the floor's", by(user, "predecessor", of=_FLOOR))
    goal("append, microseconds", 0.5, [ns / 1e3 for ns in costs])
    pairs = zip(runs["LogWriter", 10_000], runs[_FLOOR, 10_000], strict=True)
    lags = [own.lag[1] / disk.sync[1] for own, disk in pairs]
    goal("lag p99 at 10000 frames/s by the disk's fdatasync p99", 3, lags)
    goal("queued memory by bytes queued", 1.5, memories)

    def recovery(what: str, by: str) -> list[float]:
        return [a / b for a, b in zip(times[what], times[by], strict=True)]

    goal("recovery of 256 MiB by reading and summing it", 1.5, recovery("recovered", "read"))
    disk = [run.sync[at] / 1e6 for at in (0, 1) for run in runs[_FLOOR, 10_000]]
    half = len(disk) // 2
    print(
        f"\nfdatasync alone at 10000 frames/s: p50 {_spread(disk[:half])} ms, "
        f"p99 {_spread(disk[half:])} ms"
    )
    figures = {what: _spread([ns / 1e6 for ns in of], ".0f") for what, of in times.items()}
    print(
        f"recovery {figures['recovered']} ms, of which it computes {figures['computed']}; reading "
        f"and summing {figures['read']}; that and a synced copy {figures['copied']}: "
        f"recovery is {_spread(recovery('recovered', 'copied'))} times that"
    )
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="of each engine at each rate")
    parser.add_argument("--scratch", type=Path, help="a directory on the disk to measure")
    chosen = parser.parse_args()
    floor = Floor()
    with tempfile.TemporaryDirectory(prefix="append-report-", dir=chosen.scratch) as directory:
        scratch = Path(directory)
        costs, memories = [], []
        for number in range(chosen.rounds):
            costs.append(append_probes.ask(append_probes.append_ns, scratch / f"cost{number}"))
            memory = scratch / f"memory{number}"
            memories.append(append_probes.ask(append_probes.queued_memory, memory))
        runs = pace_all(floor, scratch, chosen.rounds, chosen.seconds)
        times = recover_all(floor, scratch, chosen.rounds)
    size = sum(map(len, make_frames(1000))) / 1000
    print(
        f"frames of {size:.0f} bytes, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; "
        f"medians of {chosen.rounds} interleaved rounds [least-most]\n"
    )
    print_runs(runs)
    print()
    return 1 if print_goals(runs, costs, memories, times) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Real power cuts: the file system is shut down under a capture, without flushing its journal.

Each cut: a capture writes, rotates and reports; at a random moment the file system goes down and
the process with it. When the power is back, the next writer's start recovers, sometimes with the
power going again meanwhile. What was promised is held against what is there.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from faults import verdict
from faults.capture import open_writer
from faults.lives import Capture, Life, captures
from faults.loop_disks import LoopDisk, fresh_disk
from fluxforge.errors import FluxForgeError

# Lives on one file system before it is made anew: directories are new in the first only, and names
# must not repeat in the others.
LIVES = 5


def write_until_cut(disk: LoopDisk, capture: Capture, chance: random.Random, first: int) -> Life:
    capture.go(disk.mount_point, first=first, seed=chance.randrange(2**32))
    if chance.random() < 0.3:
        capture.wait_for("published")
    else:
        # From the first directory that is made to the middle of the tenth segment.
        capture.wait_for_lines(chance.choice([0, 1, 2, 3, chance.randrange(4, 100)]))
        time.sleep(chance.random() * 0.004)
    now = time.monotonic_ns()
    disk.shut_down()
    life = capture.kill()
    disk.come_back()
    # After a real cut nobody makes a promise any more. Here the process goes on for a moment, and
    # an fdatasync that is under way in ext4 while it is shut down may say 0 (Linux 6.18).
    return life.until(at=now)


def cut_recovery(disk: LoopDisk, chance: random.Random) -> None:
    """Start recovering, and cut the power meanwhile."""

    def start() -> None:
        with suppress(FluxForgeError):
            open_writer(str(disk.mount_point)).close_sync()

    recovering = threading.Thread(target=start)
    recovering.start()
    time.sleep(chance.random() * 0.012)
    disk.shut_down()
    recovering.join()
    disk.come_back()


def recover(disk: LoopDisk) -> dict[str, bytes]:
    try:
        with open_writer(str(disk.mount_point)) as writer:
            for one in writer.recovered:
                verdict.require(one.outcome in {"sealed", "empty"}, f"{one.outcome}: {one.detail}")
    except FluxForgeError as error:
        raise verdict.PromiseBroken(f"cannot start again: {error}") from error
    return published(disk)


def published(disk: LoopDisk) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (disk.raw / "ready").glob("*")}


def recovered_stays(disk: LoopDisk) -> None:
    """Cut the power right after a recovery, and find what it had published."""
    once = published(disk)
    disk.shut_down()
    disk.come_back()
    verdict.require(published(disk) == once, "what recovery published did not survive the next cut")


def judge(disk: LoopDisk, life: Life, chance: random.Random, taken: dict[str, str]) -> None:
    verdict.published_stay_published(disk.raw / "ready", life)
    if chance.random() < 0.3:
        cut_recovery(disk, chance)
    once = recover(disk)
    recovered_stays(disk)
    verdict.require(recover(disk) == once, "recovering twice is not recovering once")
    segments = verdict.recovered(disk.raw, life)
    verdict.names_never_repeat(taken, segments)


def cut_power(
    where: Path,
    kind: str,
    cuts: int,
    chance: random.Random,
    capturing: Iterator[Capture],
) -> int:
    """Cut so many times; the number of frames that had been acknowledged."""
    acknowledged = 0
    for disk_number in range(0, cuts, LIVES):
        with fresh_disk(where / f"disk-{disk_number}", kind) as disk:
            taken: dict[str, str] = {}
            for cut in range(disk_number, min(cuts, disk_number + LIVES)):
                life = write_until_cut(disk, next(capturing), chance, first=cut * 1_000_000)
                judge(disk, life, chance, taken)
                disk.forget()
                acknowledged += len(life.durable)
    return acknowledged


def cut_after_recoveries(
    disk: LoopDisk,
    capturing: Iterator[Capture],
    recovering: Iterator[Capture],
    chance: random.Random,
) -> None:
    """Have other processes recover what captures leave, and cut the power right after each."""
    for cut in range(20):
        write_until_cut(disk, next(capturing), chance, first=cut * 1_000_000)
        recovery = next(recovering)
        recovery.go(disk.mount_point, first=0, seed=0, recover_only=True)
        assert recovery.wait().has("closed")
        recovered_stays(disk)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
@pytest.mark.parametrize(
    "cuts", [pytest.param(10, id="10"), pytest.param(100, id="100", marks=pytest.mark.slow)]
)
def test_a_power_cut_loses_nothing_acknowledged(
    kind: str, cuts: int, tmp_path: Path, chance: random.Random
) -> None:
    with captures() as capturing:
        assert cut_power(tmp_path, kind, cuts, chance, capturing) > 0


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
@pytest.mark.parametrize("what", ["data", "directory"])
def test_a_sync_left_out_is_noticed_by_power_cuts(
    what: str,
    kind: str,
    tmp_path: Path,
    chance: random.Random,
    leaving_out: Callable[[str], dict[str, str]],
) -> None:
    with (
        captures(env=leaving_out(what)) as capturing,
        pytest.raises(verdict.PromiseBroken) as broken,
    ):
        cut_power(tmp_path, kind, 40, chance, capturing)
    print(broken.value)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
@pytest.mark.parametrize("what", ["data", "directory"])
def test_a_sync_left_out_of_recovery_is_noticed_by_the_next_power_cut(
    what: str,
    kind: str,
    tmp_path: Path,
    chance: random.Random,
    leaving_out: Callable[[str], dict[str, str]],
) -> None:
    with (
        captures() as capturing,
        captures(env=leaving_out(what)) as recovering,
        fresh_disk(tmp_path / "disk", kind) as disk,
        pytest.raises(verdict.PromiseBroken, match="did not survive"),
    ):
        cut_after_recoveries(disk, capturing, recovering, chance)

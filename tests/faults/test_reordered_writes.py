"""Power cuts on a disk that reorders writes and tears them between sectors.

Captures write to ext4 on a block device that logs every write and flush. From the log, disks are
rebuilt as a power cut at random moments may have left them; each is mounted and recovered.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults import verdict, written_log
from faults.capture import open_writer
from faults.lives import Capture, Life
from faults.loop_disks import LoopDisk, mounted
from fluxforge.errors import FluxForgeError
from probing import need, need_root, need_tools, unavailable

PLUGIN = Path(__file__).with_name("disk_that_logs.py")
IMAGE_BYTES = 32 << 20
BURSTS = 60
CUTS_PER_CAPTURE = 10


@dataclass
class LoggingDisk:
    """A directory with an image, and everything that was written to it since `before`."""

    where: Path

    @property
    def before(self) -> Path:
        return self.where / "before"

    @property
    def image(self) -> Path:
        return self.where / "image"

    @property
    def log(self) -> Path:
        return self.where / "log"


def need_logging_disks() -> None:
    need_root()
    need_tools(nbdkit="nbdkit", nbdfuse="libnbd-bin", losetup="mount")
    need("nbdkit", "python", "--dump-plugin", what="nbdkit's Python plugin (nbdkit-plugin-python)")
    if not Path("/dev/fuse").exists():
        unavailable("nbdfuse needs /dev/fuse")


@contextmanager
def served(disk: LoggingDisk) -> Iterator[Path]:
    """The image as a file that logs what is written to it."""
    directory = disk.where / "served"
    directory.mkdir()
    command = [
        "nbdfuse",
        str(directory / "disk"),
        "--command",
        "nbdkit",
        "-s",
        "--exit-with-parent",
    ]
    command += ["python", str(PLUGIN), f"image={disk.image}", f"log={disk.log}"]
    with (disk.where / "nbdfuse.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        while not (directory / "disk").exists():
            try:
                server.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            unavailable(f"nbdfuse ended: {(disk.where / 'nbdfuse.log').read_text()}")
        yield directory / "disk"
    finally:
        # It unmounts what it mounted.
        server.terminate()
        server.wait(20)


def captured(
    where: Path, chance: random.Random, env: dict[str, str] | None
) -> tuple[LoggingDisk, Life]:
    """Have a capture write to a logging disk until it closes."""
    where.mkdir()
    disk = LoggingDisk(where)
    with disk.before.open("wb") as image:
        image.truncate(IMAGE_BYTES)
    options = "lazy_itable_init=0,lazy_journal_init=0"
    need("mkfs.ext4", "-q", "-F", "-E", options, disk.before, what="making ext4")
    shutil.copyfile(disk.before, disk.image)
    with ExitStack() as stack:
        file = stack.enter_context(served(disk))
        file_system = stack.enter_context(mounted(file, where / "mounted", "ext4"))
        capture = Capture(env=env)
        stack.callback(capture.kill)
        capture.go(
            file_system.mount_point,
            first=0,
            seed=chance.randrange(2**32),
            bursts=BURSTS,
            disk_log=disk.log,
        )
        life = capture.wait()
    assert life.has("closed"), life.said
    return disk, life


def moments(entries: list[written_log.Entry], life: Life, chance: random.Random) -> list[int]:
    """Half of them anywhere, half right after something was promised, of either kind."""
    number_of = {entry.end: number for number, entry in enumerate(entries, 1)}
    after: dict[str, list[int]] = {"durable": [], "published": []}
    for line in life.said:
        if line["said"] in after and line["disk_log"] in number_of:
            after[line["said"]].append(number_of[line["disk_log"]])
    half = CUTS_PER_CAPTURE // 2
    anywhere = [chance.randrange(1, len(entries)) for _ in range(CUTS_PER_CAPTURE - half)]
    promised = [chance.choice(after["durable"]) for _ in range(half)]
    if after["published"]:
        promised[: half // 2] = [chance.choice(after["published"]) for _ in range(half // 2)]
    return sorted(anywhere + promised)


def judge(file_system: LoopDisk, life: Life) -> None:
    ready = file_system.raw / "ready"
    verdict.published_stay_published(ready, life)
    contents = []
    for _ in range(2):
        try:
            with open_writer(str(file_system.mount_point)) as writer:
                outcomes = {one.outcome for one in writer.recovered}
        except FluxForgeError as error:
            raise verdict.PromiseBroken(f"cannot start again: {error}") from error
        verdict.require(outcomes <= {"sealed", "empty"}, f"{outcomes}")
        contents.append({path.name: path.read_bytes() for path in ready.iterdir()})
    verdict.require(contents[0] == contents[1], "recovering twice is not recovering once")
    verdict.recovered(file_system.raw, life)


def cut_power(
    where: Path, cuts: int, chance: random.Random, env: dict[str, str] | None = None
) -> int:
    """Cut so many times; the number of frames that had been acknowledged."""
    need_logging_disks()
    acknowledged = 0
    for capture in range(cuts // CUTS_PER_CAPTURE):
        disk, life = captured(where / f"capture-{capture}", chance, env)
        entries = written_log.read(disk.log)
        chosen = moments(entries, life, chance)
        for cut, image in written_log.cut_images(disk.before, entries, chosen, chance):
            told = life.until(disk_log=entries[cut - 1].end)
            with mounted(image, disk.where / "mounted", "ext4") as file_system:
                judge(file_system, told)
            acknowledged += len(told.durable)
        shutil.rmtree(disk.where)
    return acknowledged


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "cuts", [pytest.param(10, id="10"), pytest.param(100, id="100", marks=pytest.mark.slow)]
)
def test_a_power_cut_that_reorders_and_tears_loses_nothing_acknowledged(
    cuts: int, tmp_path: Path, chance: random.Random
) -> None:
    assert cut_power(tmp_path, cuts, chance) > 0


def test_the_log_tells_all_that_reached_the_disk(tmp_path: Path, chance: random.Random) -> None:
    """The suite's own foundation: replayed to its end, the log gives the disk to the byte."""
    need_logging_disks()
    disk, _ = captured(tmp_path / "capture", chance, None)
    entries = [*written_log.read(disk.log), written_log.Entry(0, b"", 0)]
    assert sum(not entry.data for entry in entries) > BURSTS, "too few flushes"
    for _, image in written_log.cut_images(disk.before, entries, [len(entries)], chance):
        assert image.read_bytes() == disk.image.read_bytes()


@pytest.mark.parametrize("what", ["data", "directory"])
def test_a_sync_left_out_is_noticed_by_a_disk_that_reorders(
    what: str,
    tmp_path: Path,
    chance: random.Random,
    leaving_out: Callable[[str], dict[str, str]],
) -> None:
    with pytest.raises(verdict.PromiseBroken) as broken:
        cut_power(tmp_path, 50, chance, env=leaving_out(what))
    print(broken.value)

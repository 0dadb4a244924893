"""The real extension in a real process, failing or dying at one exact system call."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faults import verdict
from faults.capture import open_writer
from faults.lives import Capture, Life, run_to_end
from faults.strace import calls, only_files_of, tampering
from faults.without_continues import leave_out_continues
from probing import small_disk

SEED = 20251203
KILLED_AT = ["write", "fdatasync", "fsync", "rename", "renameat2", "linkat", "unlinkat", "flock"]


def tampered(
    root: Path,
    *faults: str,
    first: int = 0,
    files_only: bool = False,
    only: str | None = None,
    **orders: Any,
) -> Life:
    """Twelve bursts in small segments, rotated on request as well, unless ordered otherwise."""
    root.mkdir(exist_ok=True)
    command = tampering(*faults, log=root / f"strace-{first}")
    command += only_files_of(root) if files_only else []
    command += ["-P", str(root / only)] if only else []
    orders = {"seed": SEED, "bursts": 12, "segment_max_mb": 0.02, **orders}
    return run_to_end(*command, root=root, first=first, **orders)


def tampered_calls(root: Path, first: int = 0) -> int:
    return calls(root / f"strace-{first}").count("(INJECTED)")


def start_again(root: Path) -> None:
    with open_writer(str(root)) as writer:
        outcomes = {one.outcome for one in writer.recovered}
    assert outcomes <= {"sealed", "empty"}, outcomes


# -- failing, and going on -------------------------------------------------------------------------


@pytest.mark.parametrize("moment", range(1, 9))
def test_an_fdatasync_that_fails_loses_nothing(moment: int, tmp_path: Path) -> None:
    """1 is the counter's, 2 the header's, then groups and seals."""
    life = tampered(tmp_path, f"fdatasync:error=EIO:when={moment}")
    assert tampered_calls(tmp_path) == 1
    assert life.end["said"] == "closed", life.end
    assert life.end["poisonings"] == 1
    assert life.durable == life.sent
    start_again(tmp_path)
    segments = verdict.recovered(tmp_path / "raw", life)
    assert sum(len(one.frames) for one in segments) == len(life.sent)


def test_what_a_failed_fdatasync_left_open_goes_on_in_a_segment_that_continues(
    tmp_path: Path,
) -> None:
    life = tampered(tmp_path, "fdatasync:error=EIO:when=5")
    segments = verdict.recovered(tmp_path / "raw", life)
    continuing = [one.header["continues"] for one in segments if one.header["continues"]]
    assert len(continuing) == 1
    assert continuing[0]["uid"] in {one.header["uid"] for one in segments}


@pytest.mark.parametrize("moment", [3, 4, 7])
def test_a_file_whose_sync_failed_is_never_synced_again(moment: int, tmp_path: Path) -> None:
    """A second sync would say "fine", and lie."""
    tampered(tmp_path, f"fdatasync:error=EIO:when={moment}")
    poisoned: set[str] = set()
    closed = 0
    for call, fd, result in re.findall(
        r"^(fsync|fdatasync|close)\((\d+)\) += (.*)$", calls(tmp_path / "strace-0"), re.MULTILINE
    ):
        if call == "close":
            closed += fd in poisoned
            poisoned.discard(fd)
        else:
            assert fd not in poisoned
            if "INJECTED" in result:
                poisoned.add(fd)
    assert closed == 1


def test_two_failures_in_a_row_stop_loudly_and_lose_nothing_acknowledged(tmp_path: Path) -> None:
    life = tampered(tmp_path, "fdatasync:error=EIO:when=5+")
    assert (life.end["said"], life.end["errno"]) == ("stopped", 5), life.end
    assert "capture has stopped" in life.end["why"]
    start_again(tmp_path)
    assert len(life.durable) > 0
    verdict.recovered(tmp_path / "raw", life)


@pytest.mark.parametrize(
    "fault",
    [
        "write:error=EIO:when=5",
        "fsync:error=EIO:when=2",
        "rename:error=EIO:when=2",
        "renameat2:error=EIO:when=2",
        "unlinkat:error=EIO:when=4",
        # No second names on this file system: a rename that does not replace instead.
        "linkat:error=EPERM:when=1+",
        # Publishing fails once, and is tried again.
        "linkat:error=EIO:when=1",
        "unlinkat:error=EIO:when=6",
    ],
)
def test_one_failure_of_any_kind_is_survived_without_a_loss(fault: str, tmp_path: Path) -> None:
    # At the start nothing is promised yet, and a directory that cannot be synced ends it.
    only = "raw/ready" if fault.startswith("fsync") else None
    life = tampered(tmp_path, fault, files_only=fault.startswith("write"), only=only)
    assert tampered_calls(tmp_path) > 0
    assert life.end["said"] == "closed", life.end
    assert life.durable == life.sent
    start_again(tmp_path)
    verdict.recovered(tmp_path / "raw", life)


@pytest.mark.parametrize("call", ["linkat", "renameat2"])
def test_what_cannot_be_published_waits_in_active_for_the_next_start(
    call: str, tmp_path: Path
) -> None:
    """linkat: the way that is taken. renameat2: the other, where there are no links."""
    faults = ["linkat:error=EIO:when=1+"]
    if call == "renameat2":
        # Its first call names the first segment; from then on nothing gets a name.
        faults = ["linkat:error=EPERM:when=1+", "renameat2:error=EIO:when=2+"]
    life = tampered(tmp_path, *faults)
    assert life.end["said"] == "stopped", "closing says that it could not publish"
    assert not list((tmp_path / "raw/ready").iterdir())
    assert len(life.durable) > 0
    start_again(tmp_path)
    verdict.recovered(tmp_path / "raw", life)


# -- interrupted -----------------------------------------------------------------------------------


@pytest.mark.parametrize("moments", ["1..2", "3", "4..9"])
@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_a_call_that_a_signal_interrupts_is_made_again(
    call: str, moments: str, tmp_path: Path
) -> None:
    """The disk has refused nothing: no file is given up for it."""
    fault = f"{call}:error=EINTR:when={moments}"
    life = tampered(tmp_path, fault, files_only=call == "write")
    assert tampered_calls(tmp_path) > 0
    assert life.end["said"] == "closed", life.end
    assert life.end["poisonings"] == 0
    assert life.durable == life.sent
    verdict.recovered(tmp_path / "raw", life)


@pytest.mark.parametrize("call", ["pread64", "write", "pwrite64", "fdatasync", "flock"])
def test_so_it_is_in_recovery(call: str, tmp_path: Path) -> None:
    life = tampered(tmp_path, "write:signal=KILL:when=12", segment_max_mb=256, rotations=0)
    fault = f"{call}:error=EINTR:when=1"
    # The loader reads as well, and does not try again.
    narrow = call == "pread64"
    recovery = tampered(tmp_path, fault, files_only=narrow, first=1_000_000, recover_only=True)
    assert tampered_calls(tmp_path, first=1_000_000) > 0
    assert recovery.end["said"] == "closed", recovery.end
    assert len(list((tmp_path / "raw/ready").iterdir())) == 1
    verdict.recovered(tmp_path / "raw", life)


# -- full ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moments", ["1..2", "2..4", "3", "4..9", "6..8"])
def test_a_disk_that_is_full_for_a_while_is_waited_for(moments: str, tmp_path: Path) -> None:
    life = tampered(tmp_path, f"write:error=ENOSPC:when={moments}", files_only=True)
    assert tampered_calls(tmp_path) > 0
    assert life.end["said"] == "closed", life.end
    assert life.end["poisonings"] == 0, "a full disk is no failure"
    assert life.durable == life.sent
    verdict.recovered(tmp_path / "raw", life)


def test_a_file_that_cannot_be_cut_back_is_given_up(tmp_path: Path) -> None:
    life = tampered(
        tmp_path, "write:error=ENOSPC:when=5", "ftruncate:error=EIO:when=1", files_only=True
    )
    assert tampered_calls(tmp_path) == 2
    assert (life.end["said"], life.end["poisonings"]) == ("closed", 1), life.end
    assert life.durable == life.sent
    verdict.recovered(tmp_path / "raw", life)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small") as where:
        # All but a little, so that it is full in the middle of a group.
        (where / "ballast").write_bytes(bytes(900 << 10))
        yield where


def test_a_write_cut_short_by_a_full_disk_is_cut_back_and_written_again(
    full_disk: Path, tmp_path: Path
) -> None:
    log = tmp_path / "strace"
    capture = Capture(*tampering(log=log))
    try:
        capture.go(full_disk, first=0, seed=SEED, bursts=60, segment_max_mb=1, rotations=0)
        capture.wait_until(lambda: "ENOSPC" in calls(log))
        before = len(capture.life.said)
        (full_disk / "ballast").unlink()
        life = capture.wait()
    finally:
        capture.kill()
    writes = re.findall(r"write\(\d+, .*?, (\d+)\) += (\d+)", calls(log))
    assert [1 for asked, taken in writes if int(taken) < int(asked)], "no write was short"
    assert life.end["said"] == "closed", life.end
    assert life.end["poisonings"] == 0
    assert len(life.said) > before
    assert life.durable == life.sent
    verdict.recovered(full_disk / "raw", life)


# -- dying -----------------------------------------------------------------------------------------


def die_and_recover(root: Path, call: str, moment: int) -> int:
    """Die at a call; have the next die at the same one, in its recovery or after; recover.

    Returns how often it died: a call may not come that often.
    """
    fault = f"{call}:signal=KILL:when={moment}"
    lives = [tampered(root, fault, first=first) for first in (0, 1_000_000)]
    start_again(root)
    verdict.recovered(root / "raw", *lives)
    once = {path.name: path.read_bytes() for path in (root / "raw/ready").iterdir()}
    start_again(root)
    assert {path.name: path.read_bytes() for path in (root / "raw/ready").iterdir()} == once
    return sum(not life.has("closed") for life in lives)


@pytest.mark.parametrize("call", KILLED_AT)
def test_dying_at_a_system_call_loses_nothing_acknowledged(
    call: str, tmp_path: Path, chance: random.Random
) -> None:
    for moment in (chance.randrange(1, 3), chance.randrange(3, 6)):
        assert die_and_recover(tmp_path / str(moment), call, moment) > 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("call", KILLED_AT)
def test_dying_at_every_system_call_loses_nothing_acknowledged(call: str, tmp_path: Path) -> None:
    for moment in range(1, 100):
        if die_and_recover(tmp_path / str(moment), call, moment) == 0:
            break
    assert moment > 3


@pytest.mark.parametrize("fault", ["signal=KILL", "error=EIO", "error=ENOSPC"])
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync", "rename", "unlinkat"])
def test_a_segment_that_is_closed_where_it_lies_survives_a_second_fault(
    call: str, fault: str, tmp_path: Path
) -> None:
    life = tampered(tmp_path, "write:signal=KILL:when=12")
    # What recovers it dies or fails in its turn, before, in or after writing the end.
    second = tampered(tmp_path, f"{call}:{fault}:when=1", first=1_000_000, recover_only=True)
    if fault == "signal=KILL":
        assert not second.has("closed")
    else:
        assert tampered_calls(tmp_path, first=1_000_000) == 1
    start_again(tmp_path)
    verdict.recovered(tmp_path / "raw", life)
    left = [path.name for path in (tmp_path / "raw/active").iterdir()]
    assert not [name for name in left if "segment_" in name], left


# -- the rule that a segment names what it continues -----------------------------------------------


def test_continues_left_out_is_noticed(tmp_path: Path) -> None:
    """The page cache shows the group whose sync failed, and the next segment has it again."""
    honest, forgetful = tmp_path / "honest", tmp_path / "forgetful"
    # Dies at the third lock of its thread: the copy that would cut the segment under which the
    # disk failed. The group has become durable in the next one before that.
    faults = ("fdatasync:error=EIO:when=5", "flock:signal=KILL:when=3")
    life = tampered(honest, *faults, segment_max_mb=256, rotations=0)
    shutil.copytree(honest, forgetful)
    assert leave_out_continues(forgetful / "raw/active") == 1
    start_again(honest)
    verdict.recovered(honest / "raw", life)
    start_again(forgetful)
    with pytest.raises(verdict.PromiseBroken, match="not what was sent, each once"):
        verdict.recovered(forgetful / "raw", life)

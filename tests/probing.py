"""What a test needs from this machine: probed first, and its absence said aloud.

A fault test never passes by not running. Where it cannot run it is skipped with the reason, and
with FLUXFORGE_REQUIRE_FAULTS=1, as in CI, it fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where every fault test must run."""
    if os.environ.get("FLUXFORGE_REQUIRE_FAULTS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def need_root() -> None:
    """Go on as root only: mounting needs it."""
    if os.geteuid() != 0:
        unavailable("mounting needs root")


def need_tools(**packages: str) -> None:
    """Go on if every tool is there; `packages` maps each to the Debian package that has it."""
    missing = {tool: package for tool, package in packages.items() if not shutil.which(tool)}
    if missing:
        unavailable(f"no {', '.join(missing)} here: apt-get install {' '.join(missing.values())}")


def need(*command: str | Path, what: str) -> str:
    """Run a command that must work for the test to make sense; return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        unavailable(f"{what} is not possible here: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


@contextmanager
def small_disk(where: Path, *, kib: int = 1024) -> Iterator[Path]:
    """Mount a file system of so many KiB, in memory, for the length of a block."""
    where.mkdir()
    need_root()
    need_tools(mount="mount")
    command = ("mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(where))
    need(*command, what="mounting a tmpfs")
    # Whoever fills it must be sure that it is not the machine's own disk.
    if not os.path.ismount(where):
        unavailable(f"mount says that it worked, and {where} is no mount point")
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


@contextmanager
def bind_mount(what: Path, where: Path) -> Iterator[Path]:
    """Show a directory at a second place, as a mount of its own, for the length of a block."""
    where.mkdir()
    need_root()
    need_tools(mount="mount")
    need("mount", "--bind", what, where, what="a bind mount")
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)

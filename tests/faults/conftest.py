"""What the fault suites share; what each needs of the machine is probed in tests/probing.py."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from probing import need, need_tools


@pytest.fixture
def chance() -> random.Random:
    """Chance whose seed is printed, and so shown when the test fails."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.fixture(scope="session")
def leaving_out(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, str]]:
    """The environment in which a process leaves out one sync: of `data` or of `directory`.

    A library loaded before libc rather than a switch in the writer: the writer under test is, to
    the byte, the one that ships.
    """
    need_tools(cc="gcc")
    library = tmp_path_factory.mktemp("leave_out") / "leave_out.so"
    source = Path(__file__).with_name("leave_out.c")
    need("cc", "-shared", "-fPIC", "-O1", "-o", library, source, what="compiling leave_out.c")
    return lambda what: {"LD_PRELOAD": str(library), "LEAVE_OUT": what}

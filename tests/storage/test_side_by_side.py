"""Making and storing at the same time: both go on, little is held, an error ends it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from fluxforge.storage.side_by_side import AT_ONCE, create_side_by_side
from processes import wait_until

PATIENCE = 60.0


def test_an_object_is_stored_while_the_next_is_made():
    stored = threading.Event()

    def objects():
        yield b"", "first"
        assert stored.wait(PATIENCE), "nothing is stored before all is made"
        yield b"", "second"

    def create(_data, key):
        if key == "first":
            stored.set()
        return key == "second"

    assert create_side_by_side(create, objects()) == [False, True]


@pytest.mark.parametrize(("size", "most"), [(1, 2 * AT_ONCE), (40 << 20, 1), (100 << 20, 1)])
def test_little_is_held_however_slow_the_storage_is(size, most):
    data, go, made = memoryview(bytes(size)), threading.Event(), []

    def objects():
        for number in range(100):
            made.append(number)
            yield data, f"{number}"

    def create(_data, _key):
        return go.wait(PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(create_side_by_side, create, objects())
        wait_until(lambda: len(made) > most, what=lambda: f"{made}")
        assert len(made) == most + 1, "the last one waits for room"
        go.set()
        assert done.result(PATIENCE) == [True] * 100


def test_an_error_of_the_storage_ends_the_making():
    made = count()

    def create(_data, key):
        if key == "3":
            raise OSError("full")
        return True

    with pytest.raises(OSError, match="full"):
        create_side_by_side(create, ((b"", f"{number}") for number in made))
    assert next(made) < 100


def test_an_error_in_making_is_the_callers():
    def objects():
        yield b"", "first"
        raise ValueError("no such partition")

    with pytest.raises(ValueError, match="no such partition"):
        create_side_by_side(lambda *_: True, objects())

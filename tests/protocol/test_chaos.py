"""Eight workers of several recipes on one backlog, killed and frozen at random, round by round."""

from __future__ import annotations

import random

import pytest

from protocol.chaos import Backlog, Round, make_backlog


@pytest.fixture(scope="module")
def backlog(tmp_path_factory) -> Backlog:
    return make_backlog(tmp_path_factory.mktemp("backlog"), segments=8)


@pytest.fixture
def chance():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


def play(backlog, rounds, chance, places):
    kills = freezes = 0
    for _ in range(rounds):
        played = Round(backlog, next(places), chance)
        played.run()
        kills += played.kills
        freezes += played.freezes
    print(f"{rounds} rounds, {kills} kills, {freezes} freezes")
    assert kills > rounds
    assert freezes > rounds


def many(few, slow):
    """So many rounds in every run of the tests, and so many with `-m slow`."""
    return pytest.mark.parametrize(
        "rounds",
        [
            pytest.param(few, id=str(few), marks=pytest.mark.timeout(1200)),
            pytest.param(slow, id=str(slow), marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
        ],
    )


@many(5, 100)
def test_eight_workers_killed_and_frozen_give_each_row_once(backlog, rounds, chance, tmp_path):
    places = ({"base_dir": str(tmp_path / str(number))} for number in range(rounds))
    play(backlog, rounds, chance, places)


@many(2, 100)
def test_eight_workers_killed_and_frozen_give_each_row_once_on_moto(backlog, rounds, chance, moto):
    places = (moto.config(moto.bucket()) for _ in range(rounds))
    play(backlog, rounds, chance, places)


@many(5, 20)
def test_eight_workers_killed_and_frozen_give_each_row_once_on_radosgw(
    backlog, rounds, chance, radosgw
):
    places = (radosgw.config(radosgw.bucket()) for _ in range(rounds))
    play(backlog, rounds, chance, places)

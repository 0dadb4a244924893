"""Delays grow to a cap, start over after health, and are never in step."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from random import Random

from fluxforge.ingestion.collectors import Backoff, Pace


def test_delays_grow_to_the_cap_and_stay_there():
    backoff = Backoff(first=1, cap=60, rng=Random(1))
    delays = [backoff.next_delay() for _ in range(5000)]
    for attempt, delay in enumerate(delays):
        bound = min(60, 2 ** min(attempt, 10))
        assert bound / 2 <= delay <= bound


def test_mistake_2_health_resets_the_backoff_and_no_number_of_failures_ends_it():
    backoff = Backoff(first=1, cap=60, rng=Random(1))
    for _ in range(100):
        backoff.next_delay()
    backoff.reset()
    assert backoff.next_delay() <= 1


def test_two_clients_do_not_come_back_together():
    assert Backoff(rng=Random(1)).next_delay() != Backoff(rng=Random(2)).next_delay()


def test_callers_are_let_through_an_interval_apart():
    async def scenario():
        pace = Pace(0.05)
        loop = asyncio.get_running_loop()
        passed = []

        async def caller():
            await pace.wait()
            passed.append(loop.time())

        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(caller())
        return passed

    passed = asyncio.run(scenario())
    # The loop's timers may fire a clock tick early.
    assert all(later - earlier >= 0.045 for earlier, later in pairwise(passed))


def test_jitter_only_ever_makes_it_slower():
    async def waits():
        pace, loop, found = Pace(0.01, jitter=0.5, rng=Random(1)), asyncio.get_running_loop(), []
        for _ in range(5):
            await pace.wait()
            found.append(pace._next - loop.time())
        return found

    found = asyncio.run(waits())
    # What is left of it a moment after the turn was given.
    assert all(0.005 < each <= 0.015 for each in found)
    assert len({round(each, 4) for each in found}) > 1

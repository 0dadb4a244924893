import math

import pytest

from fluxforge.sim.pacing import LARGEST_BURST, Pacer, RateLimit
from fluxforge.sim.timetable import Timetable


@pytest.mark.parametrize("rate", [0.5, 1, 37, 1000, 20_000])
def test_a_pacer_is_exact_on_average_whatever_the_sleeps(rate: float) -> None:
    pacer, now, events = Pacer(rate), 100.0, 0
    pacer.due(now)
    while now < 160:
        # At least a millisecond, as sleeping is, and unevenly late.
        now += max(pacer.delay(now), 0.001) + 0.003 * (events % 3)
        events += pacer.due(now)
    assert events == pytest.approx(rate * 60, rel=0.01, abs=1)


def test_a_pacer_gives_up_what_a_pause_cost() -> None:
    pacer = Pacer(1000)
    pacer.due(0.0)
    assert pacer.due(60.0) == 1
    assert pacer.due(60.01) == pytest.approx(10, abs=1)


@pytest.mark.parametrize("rate", [0, math.inf])
def test_a_boundless_pacer_gives_full_bursts_and_never_sleeps(rate: float) -> None:
    pacer = Pacer(rate)
    assert [pacer.due(1.0), pacer.due(1.0)] == [LARGEST_BURST, LARGEST_BURST]
    assert pacer.delay(1.0) == 0


@pytest.mark.parametrize("rate", [-1, math.nan])
def test_a_rate_must_make_sense(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        Pacer(rate)


def test_a_rate_limit_allows_so_many_in_any_one_second() -> None:
    limit = RateLimit(2)
    times = [0.0, 0.5, 0.9, 1.0, 1.4, 1.5]
    assert [limit.allows(now) for now in times] == [True, True, False, True, False, True]
    assert all(RateLimit(None).allows(0) for _ in range(100))


def test_a_timetable_keeps_the_beat_and_does_not_make_up_for_a_pause() -> None:
    beats: list[float] = []
    now = 0.0

    def beat() -> None:
        beats.append(now)

    timetable = Timetable({beat: 1.0})
    for now in (0.0, 0.9, 1.04, 1.5, 2.02, 9.0, 9.02, 9.9, 10.0):
        timetable.run(now)
    assert beats == [1.04, 2.02, 9.0, 10.0]
    with pytest.raises(ValueError, match="interval"):
        Timetable({beat: 0.0})

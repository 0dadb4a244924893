"""When a fault strikes: by an invented clock."""

import re

import pytest

from fluxforge.sim.conduct import Conduct, Misconduct
from fluxforge.sim.faults import (
    Burst,
    Disconnect,
    ErrorFrame,
    LateAck,
    LimitLevel2,
    Lose,
    Restart,
    read_fault,
)
from fluxforge.sim.faults.fault import Fault, Withheld


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Way:
    """Notes what is done to a connection."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def note(self, event: str, **_detail: object) -> None:
        pass

    def restart_numbers(self) -> None:
        self.done.append("restart")

    def put_error(self, message: str) -> None:
        self.done.append(message)

    def hang_up(self, how: str, *, code: int, reason: str) -> None:  # noqa: ARG002
        self.done.append(how)

    def fall_silent(self, *, reset_after: float | None) -> None:
        self.done.append(f"silent {reset_after}")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def misconduct(clock: Clock) -> Misconduct:
    return Misconduct(seed=1, clock=clock)


def is_lost(conduct: Conduct) -> bool:
    return any(isinstance(line, Withheld) for line in conduct.treat('{"channel":"ticker",'))


def test_a_turn_begins_at_its_second_and_lasts_its_seconds(clock, misconduct) -> None:
    conduct = misconduct.towards(1)
    misconduct.begin(Lose(at=5, seconds=2))
    lost = []
    for tenth in range(100):
        clock.now = 1000 + tenth / 10
        lost.append(is_lost(conduct))
    assert lost == [False] * 50 + [True] * 20 + [False] * 30


def test_turns_come_again_so_often_and_each_has_its_own_count(clock, misconduct) -> None:
    conduct = misconduct.towards(1)
    misconduct.begin(Lose(at=1, every=2, times=3, frames=2))
    lost = []
    for half in range(20):
        clock.now = 1000 + half / 2
        lost.append(is_lost(conduct))
    assert [half for half, each in enumerate(lost) if each] == [2, 3, 6, 7, 10, 11]


def test_a_connections_age_counts_from_its_opening_and_its_turn_from_there(
    clock, misconduct
) -> None:
    misconduct.begin(Lose(after_seconds=3, seconds=1))
    clock.now = 1010
    conduct = misconduct.towards(1)
    lost = []
    for half in range(12):
        clock.now = 1010 + half / 2
        lost.append(is_lost(conduct))
    assert [half for half, each in enumerate(lost) if each] == [6, 7]


def test_frames_are_counted_on_each_connection_and_whoever_is_hit_uses_up_a_number(
    misconduct,
) -> None:
    misconduct.begin(Lose(after_frames=3, frames=2))
    for number in (1, 2):
        conduct = misconduct.towards(number)
        assert [is_lost(conduct) for _ in range(7)] == [False] * 3 + [True] * 2 + [False] * 2


def test_a_deed_is_done_once_in_each_turn_to_who_was_there_as_it_began(clock, misconduct) -> None:
    misconduct.begin(Disconnect(at=10, every=5, times=2))
    early, late = Way(), Way()
    conduct = misconduct.towards(1)
    for second in range(30):
        clock.now = 1000 + second
        if second == 12:
            after = misconduct.towards(2)
        conduct.do_deeds(early)
        if second >= 12:
            after.do_deeds(late)
    assert early.done == ["close", "close"]
    assert late.done == ["close"], "who came after the first turn had begun is let in"


def test_a_deed_by_age_or_by_frames_is_done_to_every_connection(clock, misconduct) -> None:
    misconduct.begin(Restart(after_frames=2))
    misconduct.begin(ErrorFrame(after_seconds=4, message="enough"))
    for number in (1, 2):
        conduct, way = misconduct.towards(number), Way()
        for _ in range(6):
            conduct.do_deeds(way)
            conduct.treat("{}")
            clock.now += 1
        assert way.done == ["restart", "enough"]


def test_of_several_the_stricter_limit_and_the_later_pace_hold(clock, misconduct) -> None:
    conduct = misconduct.towards(1)
    for products in (7, 3, 5):
        misconduct.begin(LimitLevel2(products=products))
    assert conduct.level2_limit() == 3
    assert conduct.late_ack() is None
    misconduct.begin(LateAck(delay="never"))
    assert conduct.late_ack() == LateAck(delay="never")
    misconduct.begin(Burst(rate=1))
    misconduct.begin(Burst(rate=2, seconds=1))
    assert misconduct.holding(Burst) == Burst(rate=2, seconds=1)
    clock.now += 1
    assert misconduct.holding(Burst) == Burst(rate=1)


def test_what_was_stopped_holds_nowhere_and_a_later_connection_never_hears_of_it(
    misconduct,
) -> None:
    before = misconduct.towards(1)
    which = misconduct.begin(Lose())
    assert is_lost(before)
    assert misconduct.end(which)
    assert not misconduct.end(which)
    assert not is_lost(before)
    assert not is_lost(misconduct.towards(2))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"fault": "loose"}, "fault: there is no fault 'loose'; there are lose, repeat, "),
        ({"frames": 1}, "fault: is missing; there are lose, repeat, "),
        ({"fault": "lose", "share": 2}, "lose.share: should be less than or equal to 1, not 2"),
        ({"fault": "lose", "shares": 1}, "lose.shares: there is no such key"),
        ({"fault": "lose", "times": 2}, "give every=SECONDS too"),
        ({"fault": "lose", "every": 1, "seconds": 2}, "does not fit into every"),
        ({"fault": "late_ack", "delay": "later"}, "late_ack.delay"),
        ({"fault": "lose", "connections": 0}, "lose.connections.0: "),
        ({"fault": "disconnect", "code": 1006}, "no Close frame may carry the code 1006"),
        ({"fault": "lose", "at": float("nan")}, "lose.at: should be a finite number"),
        (["lose"], "a fault is a mapping, like {fault: lose, frames: 3}, not ['lose']"),
    ],
)
def test_what_is_no_fault_is_refused_with_its_place_and_reason(fields, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_fault(fields)


def test_a_fault_reads_back_from_its_fields() -> None:
    fault: Fault = Disconnect(every=2, times=3, how="reset", connections=(1, 2))
    assert read_fault(fault.fields()) == fault

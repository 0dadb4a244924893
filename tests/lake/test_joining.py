"""Coverage over segments and connections, from rows made as the ETL makes them."""

from __future__ import annotations

from itertools import permutations

from fluxforge.lake.joining import join
from made_coverage import BOOK, Gap, Sequence, delivered, event, rows, told

S = 10**9  # one second


def joined(*segments):
    return join(segments, book_channel=BOOK)[0]


def test_a_connection_that_goes_on_in_the_next_segment_is_one_live_span():
    first = rows([Sequence()], [event("connected", 90)], delivered(("ticker", "A-USD", 110)))
    second = rows([Sequence("c", 10, 19, 201, 300)], [], delivered(("ticker", "A-USD", 250)))
    assert told(joined(first, second)) == [
        ("c", 90, 300, "live", 0, 19, "connected"),
        ("c", "ticker", "A-USD", 110, 300, "live"),
    ]


def test_numbers_that_neither_of_two_segments_has_are_a_gap():
    first = rows([Sequence()], [event("connected", 90)], delivered(("level2", "A-USD", 110, 110)))
    second = rows([Sequence("c", 13, 19, 205, 300)], [], delivered(("level2", "A-USD", 250, 260)))
    found = joined(first, second)
    assert told(found, "gap") == [("c", 200, 205, "gap", 10, 12, 3, "between segments")]
    assert told(found, "suspect") == [("c", "level2", "A-USD", 200, 260, "suspect", "gap")]


def test_a_suspicion_goes_on_in_the_next_segment_until_its_snapshot():
    gap = Sequence(gaps=[Gap(3, 5, 130, 140)])
    first = rows([gap], [event("connected", 90)], delivered(("level2", "A-USD", 110, 110)))
    quiet = rows([Sequence("c", 10, 19, 201, 300)])
    healed = rows([Sequence("c", 20, 29, 301, 400)], [], delivered(("level2", "A-USD", 350, 350)))
    found = joined(first, quiet, healed)
    assert told(found, "suspect") == [("c", "level2", "A-USD", 130, 350, "suspect", "gap")]
    assert told(found, "live")[-1] == ("c", "level2", "A-USD", 350, 400, "live", "snapshot")


def test_numbers_that_a_connection_lost_before_its_first_frame_are_a_gap_in_any_segment():
    begun = rows([], [event("connected", 90)])
    assert told(joined(begun, rows([Sequence("c", 2, 9, 101, 200)])), "gap") == [
        ("c", 90, 101, "gap", 0, 1, 2, "between segments")
    ]
    assert told(joined(begun, rows([Sequence("c", 0, 9, 101, 200)])), "gap") == []


def test_repeats_and_restarts_between_segments_are_no_gap():
    first = rows([Sequence()], [event("connected", 90)])
    for number in (9, 4, 0):
        assert told(joined(first, rows([Sequence("c", number, 20, 201, 300)])), "gap") == []


def test_a_segment_that_begins_with_a_repeat_lacks_only_what_had_not_come():
    first = rows([Sequence()], [event("connected", 90)])
    # 0 to 9, then 4 again; then 10 at once, or only 12.
    second = rows([Sequence("c", 4, 19, 201, 300, [Gap(5, 10, 201, 210)])])
    assert told(joined(first, second), "gap") == []
    third = rows([Sequence("c", 4, 19, 201, 300, [Gap(5, 12, 201, 210)])])
    assert told(joined(first, third), "gap") == [("c", 201, 210, "gap", 10, 11, 2, "sequence")]
    # Zero begins anew: what is missing after it is missing.
    anew = rows([Sequence("c", 0, 19, 201, 300, [Gap(1, 3, 201, 210)])])
    assert told(joined(first, anew), "gap") == [("c", 201, 210, "gap", 1, 2, 2, "sequence")]


def test_a_segment_that_is_not_there_is_a_gap_and_closes_it_when_it_comes():
    first = rows([Sequence()], [event("connected", 90)])
    second = rows([Sequence("c", 10, 14, 201, 250)])
    third = rows([Sequence("c", 15, 19, 251, 300)])
    assert told(joined(first, third), "gap") == [
        ("c", 200, 251, "gap", 10, 14, 5, "between segments")
    ]
    assert told(joined(second, third), "gap") == [
        ("c", 201, 201, "gap", 0, 9, 10, "not in the lake")
    ]
    assert told(joined(first, second, third), "gap") == []


def test_a_connections_end_lasts_until_each_of_its_products_came_again():
    first = rows(
        [Sequence("a")],
        [event("connected", 90, "a"), event("disconnected", 200, "a", reason="reset")],
        delivered(("a", "level2", "A-USD", 110, 110), ("a", "ticker", "A-USD", 120)),
    )
    second = rows(
        [Sequence("b", 0, 9, 300, 400)],
        [event("connected", 300, "b")],
        delivered(("b", "level2", "A-USD", 310, 310)),
    )
    assert told(joined(first, second), "disconnected") == [
        ("a", "level2", "A-USD", 200, 310, "disconnected", 10, "reset"),
        ("a", "ticker", "A-USD", 200, "disconnected", 10, "reset"),
    ]


def test_a_connections_end_knows_the_last_number_also_of_earlier_segments():
    first = rows([Sequence("a")], [event("connected", 90, "a")])
    ended = rows([], [event("disconnected", 210, "a", reason="reset")])
    assert told(joined(first, ended), "disconnected") == [("a", 210, "disconnected", 10, "reset")]


def test_a_killed_writers_connection_ends_in_a_gap_of_unknown_size():
    died = event("gap", 200, "a", reason="writer died", start_ts="1970-01-01T00:00:00.000000200Z")
    first = rows([Sequence("a")], [died], delivered(("a", "ticker", "A-USD", 120)))
    second = rows([Sequence("b", 0, 9, 300, 400)], [], delivered(("b", "ticker", "A-USD", 310)))
    (gap,) = [row for row in joined(first, second) if row.state == "gap"]
    assert (gap.product_id, gap.start_ns, gap.end_ns) == ("A-USD", 200, 310)
    assert (gap.first_sequence, gap.last_sequence, gap.missing) == (10, None, None)
    # Nobody recorded since: the gap has no end yet.
    (gap,) = [row for row in joined(first) if row.state == "gap"]
    assert gap.end_ns is None


def test_a_connection_that_died_with_a_products_first_frame_does_not_end_its_own_gap():
    died = event("gap", 200, "a", reason="writer died", start_ts="1970-01-01T00:00:00.000000200Z")
    first = rows([Sequence("a")], [died], delivered(("a", "ticker", "A-USD", 200)))
    second = rows([Sequence("b", 0, 9, 300, 400)], [], delivered(("b", "ticker", "A-USD", 310)))
    (gap,) = [row for row in joined(first, second) if row.state == "gap"]
    assert (gap.start_ns, gap.end_ns) == (200, 310)


def test_what_another_socket_delivers_meanwhile_is_not_missing():
    first = rows(
        [Sequence("a")],
        [event("disconnected", 200, "a", reason="reset")],
        delivered(("a", "ticker", "A-USD", 120)),
    )
    beside = rows([Sequence("b", 0, 9, 150, 400)], [], delivered(("b", "ticker", "A-USD", 150)))
    assert told(joined(first, beside), "disconnected") == []


def test_a_clean_stop_is_missing_only_once_recording_began_again():
    stopped = event("disconnected", 200, "a", reason="sent 1000", cause="stop")
    first = rows([Sequence("a")], [stopped], delivered(("a", "ticker", "A-USD", 120)))
    assert told(joined(first), "disconnected", "gap") == []
    second = rows([Sequence("b", 0, 9, 300, 400)], [], delivered(("b", "ticker", "A-USD", 310)))
    assert told(joined(first, second), "disconnected") == [
        ("a", "ticker", "A-USD", 200, 310, "disconnected", 10, "stopped")
    ]


def test_a_connection_whose_end_is_not_there_is_missing_until_the_next():
    first = rows([Sequence("a")], [], delivered(("a", "ticker", "A-USD", 120)))
    assert told(joined(first), "disconnected", "gap") == []  # it may go on still
    second = rows([Sequence("b", 0, 9, 300, 400)], [], delivered(("b", "ticker", "A-USD", 310)))
    assert told(joined(first, second), "gap") == [
        ("a", "ticker", "A-USD", 200, 310, "gap", 10, "not in the lake")
    ]


def test_a_product_that_is_not_delivered_is_refused_until_the_end_or_its_delivery():
    asked = event("subscribing", 0, channel="ticker", product_ids=["A-USD"])
    first = rows([Sequence("c", 0, 9, 100, 200)], [asked])
    long = rows([Sequence("c", 10, 19, 201, 5 * S)])
    assert told(joined(first, long), "refused") == [
        ("c", "ticker", "A-USD", 0, 5 * S, "refused", "not delivered")
    ]
    # Asked at the end of a segment, delivered in the next: that is how it always is.
    in_time = rows([Sequence("c", 10, 19, 201, 5 * S)], [], delivered(("ticker", "A-USD", 2 * S)))
    assert told(joined(first, in_time), "refused") == []
    late = rows([Sequence("c", 10, 19, 201, 90 * S)], [], delivered(("ticker", "A-USD", 60 * S)))
    assert told(joined(first, late), "refused") == [
        ("c", "ticker", "A-USD", 0, 60 * S, "refused", "not delivered")
    ]


def test_a_refused_product_is_asked_for_again_on_each_connection_and_told_once_for_each():
    def segment(conn, start):
        asked = event("subscribing", start, conn, channel="ticker", product_ids=["NO-SUCH"])
        ended = event("disconnected", start + 5 * S, conn, reason="reset")
        return rows([Sequence(conn, 0, 9, start, start + 5 * S)], [asked, ended])

    found = joined(segment("a", 0), segment("b", 9 * S))
    assert told(found, "refused") == [
        ("a", "ticker", "NO-SUCH", 0, 5 * S, "refused", "not delivered"),
        ("b", "ticker", "NO-SUCH", 9 * S, 14 * S, "refused", "not delivered"),
    ]
    assert told(found, "disconnected")[0][3:5] == (5 * S, 9 * S)


def test_frames_without_a_connections_name_prove_nothing_across_segments():
    first, second = rows([Sequence("", 5, 9)]), rows([Sequence("", 50, 59, 201, 300)])
    assert told(joined(first, second), "gap") == []


def test_the_order_of_connections_does_not_matter():
    segments = [
        rows(
            [Sequence(conn, 0, 9, start, start + 50)],
            [event("disconnected", start + 50, conn, reason="reset")],
            delivered((conn, "ticker", "A-USD", start + 1)),
        )
        for conn, start in (("a", 100), ("b", 200), ("c", 300))
    ]
    expected = joined(*segments)
    assert [row.end_ns for row in expected if row.state == "disconnected"] == [201, 301, None]
    for order in permutations(segments):
        assert joined(*order) == expected

"""What one segment proves, from facts made by hand."""

from __future__ import annotations

from fluxforge.etl.coverage import read_event
from made_coverage import Gap, Sequence, delivered, event, rows, told


def test_a_connection_without_loss_is_live_and_so_are_its_products():
    found = rows(
        [Sequence()],
        [event("connected", 90)],
        delivered(("level2", "BTC-USD", 110, 110), ("ticker", "BTC-USD", 120)),
    )
    assert told(found) == [
        ("c", 90, 200, "live", 0, 9, "connected"),
        ("c", "level2", "BTC-USD", 110, 200, "live", "snapshot"),
        ("c", "ticker", "BTC-USD", 120, 200, "live"),
    ]


def test_numbers_that_never_came_are_a_gap_of_the_whole_connection_counted_exactly():
    found = rows([Sequence(gaps=[Gap(3, 7, 130, 140), Gap(8, 9, 150, 160)])])
    assert told(found, "gap") == [
        ("c", 130, 140, "gap", 3, 6, 4, "sequence"),
        ("c", 150, 160, "gap", 8, 8, 1, "sequence"),
    ]


def test_a_gap_makes_each_book_suspect_until_its_own_next_snapshot():
    found = rows(
        [Sequence(gaps=[Gap(3, 4, 130, 140)])],
        [],
        delivered(
            ("level2", "BTC-USD", 110, 110, 170),
            ("level2", "ETH-USD", 111, 111),
            ("ticker", "BTC-USD", 120),
        ),
    )
    assert told(found, "suspect") == [
        ("c", "level2", "BTC-USD", 130, 170, "suspect", "gap"),
        ("c", "level2", "ETH-USD", 130, 200, "suspect", "gap"),
    ]
    assert told([row for row in found if row.product_id == "BTC-USD"], "live") == [
        ("c", "level2", "BTC-USD", 110, 130, "live", "snapshot"),
        ("c", "level2", "BTC-USD", 170, 200, "live", "snapshot"),
        ("c", "ticker", "BTC-USD", 120, 200, "live"),
    ]


def test_a_second_gap_before_the_snapshot_prolongs_the_suspicion():
    gaps = [Gap(3, 4, 130, 140), Gap(6, 7, 160, 165)]
    found = rows([Sequence(gaps=gaps)], [], delivered(("level2", "BTC-USD", 110, 150, 180)))
    assert told(found, "suspect") == [
        ("c", "level2", "BTC-USD", 130, 150, "suspect", "gap"),
        ("c", "level2", "BTC-USD", 160, 180, "suspect", "gap"),
    ]
    found = rows([Sequence(gaps=gaps)], [], delivered(("level2", "BTC-USD", 110, 110, 180)))
    assert told(found, "suspect") == [("c", "level2", "BTC-USD", 130, 180, "suspect", "gap")]


def test_a_snapshot_right_before_the_gap_heals_nothing():
    found = rows(
        [Sequence(gaps=[Gap(3, 4, 130, 140)])], [], delivered(("level2", "BTC-USD", 130, 130))
    )
    assert told(found, "suspect") == [("c", "level2", "BTC-USD", 130, 200, "suspect", "gap")]


def test_a_snapshot_that_shows_the_gap_itself_heals_it():
    found = rows(
        [Sequence(gaps=[Gap(3, 4, 130, 200)])], [], delivered(("level2", "BTC-USD", 110, 110, 200))
    )
    assert told(found, "suspect") == [("c", "level2", "BTC-USD", 130, 200, "suspect", "gap")]
    # The next segment must know that the book is good again.
    assert told(found, "live")[-1] == ("c", "level2", "BTC-USD", 200, 200, "live", "snapshot")


def test_what_the_venue_sent_before_the_first_number_that_came_is_a_gap():
    found = rows([Sequence(first_sequence=2)], [event("connected", 90)])
    assert told(found, "gap") == [("c", 90, 100, "gap", 0, 1, 2, "sequence")]
    # Where the connection goes on from an earlier segment, only the reader knows.
    assert told(rows([Sequence(first_sequence=2)]), "gap") == []


def test_frames_that_we_dropped_are_told_from_those_that_never_came():
    dropped = event("dropped", 150, frames=3, first_ts=stamp(135), last_ts=stamp(138))
    found = rows([Sequence(gaps=[Gap(3, 6, 130, 140), Gap(8, 9, 160, 170)])], [dropped])
    assert told(found, "gap") == [
        ("c", 130, 140, "gap", 3, 5, 3, "dropped"),
        ("c", 160, 170, "gap", 8, 8, 1, "sequence"),
    ]
    # At a segment's end no number has told yet.
    found = rows([Sequence()], [dropped])
    assert told(found, "gap") == [("c", 135, 138, "gap", "dropped")]


def test_a_gap_that_the_collector_noticed_too_is_counted_once():
    noticed = event("gap", 140, reason="sequence", expected=3, seen=5, missing=2)
    found = rows([Sequence(gaps=[Gap(3, 5, 130, 140)])], [noticed])
    assert told(found, "gap") == [("c", 130, 140, "gap", 3, 4, 2, "sequence")]


def test_a_connections_end_says_from_which_number_on_nothing_came():
    found = rows([Sequence()], [event("disconnected", 210, reason="no close frame")])
    assert told(found, "disconnected") == [("c", 210, "disconnected", 10, "no close frame")]
    died = event("gap", 200, reason="writer died", start_ts=stamp(200), end_ts=None, missing=None)
    assert told(rows([Sequence()], [died]), "gap") == [("c", 200, "gap", 10, "writer died")]
    stopped = event("disconnected", 210, reason="sent 1000", cause="stop")
    assert told(rows([Sequence()], [stopped]), "disconnected")[0][-1] == "stopped"


def test_what_was_asked_for_and_not_delivered_is_refused():
    asked = event("subscribing", 95, channel="ticker", product_ids=["BTC-USD", "NO-SUCH"])
    found = rows([Sequence()], [asked], delivered(("ticker", "BTC-USD", 120)))
    assert told(found, "refused") == [
        ("c", "ticker", "NO-SUCH", 95, 200, "refused", "not delivered")
    ]


def test_a_usdc_book_that_comes_under_its_usd_name_is_not_refused():
    asked = event("subscribing", 95, channel="ticker", product_ids=["BTC-USDC"])
    assert told(rows([Sequence()], [asked], delivered(("ticker", "BTC-USD", 120))), "refused") == []


def test_a_refusal_carries_the_venues_words():
    refused = event("refused", 97, message='{"type":"error","message":"too many L2 streams"}')
    assert told(rows([Sequence()], [refused]), "refused") == [
        ("c", 97, "refused", "too many L2 streams")
    ]
    named = event(
        "refused", 97, reason="not_acknowledged", channel="level2", product_ids=["A-USD", "B-USD"]
    )
    assert told(rows([Sequence()], [named]), "refused") == [
        ("c", "level2", "A-USD", 97, "refused", "not_acknowledged"),
        ("c", "level2", "B-USD", 97, "refused", "not_acknowledged"),
    ]


def test_numbers_beyond_any_column_are_cut_to_what_it_holds():
    wild = Sequence(
        first_sequence=-(2**63),
        last_sequence=2**63 - 1,
        gaps=[Gap(-(2**63) + 1, 2**63 - 1, 130, 140)],
    )
    (gap,) = [row for row in rows([wild], [event("disconnected", 210)]) if row.state == "gap"]
    assert gap.missing == 2**63 - 1


def test_events_are_read_and_foreign_lines_are_passed_over():
    line = (
        b'{"capture_ts":"2025-12-03T14:00:00.123456789Z","conn":"a-0-1",'
        b'"event":{"kind":"disconnected","reason":"idle"}}'
    )
    read = read_event(line)
    assert (read.conn, read.kind, read.text("reason")) == ("a-0-1", "disconnected", "idle")
    assert read.at_ns == 1_764_770_400_123_456_789
    for foreign in (
        b"",
        b"[]",
        b'{"event":{"kind":"cut"}}',
        b'{"capture_ts":7,"conn":"c","event":{"kind":"x"}}',
        b'{"capture_ts":"soon","conn":"c","event":{"kind":"x"}}',
        b'{"capture_ts":"2025-12-03T14:00:00Z","conn":"c","event":"x"}',
        b'{"capture_ts":"2025-12-03T14:00:00Z","conn":"c","event":{"kind":7}}',
    ):
        assert read_event(foreign) is None, foreign


def stamp(ns: int) -> str:
    return f"1970-01-01T00:00:00.{ns:09}Z"

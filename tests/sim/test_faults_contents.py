"""Frames that say something else: fields added, removed, retyped, unsorted books, many products."""

import json
from pathlib import Path

import pytest

from fluxforge.sim.faults import AddField, RemoveField, RetypeField, SharedFrames, UnsortedSnapshots
from fluxforge.sim.faults.fault import FrameFault
from sim.misbehaving import capture, events, frames, numbers, sent
from sim.recorder import Recorder


def rows_of(client: Recorder, channel: str, rows: str) -> list[dict]:
    return [row for event in client.of(channel) for row in event[rows]]


def assert_journal_knows(journal: Path, client: Recorder, altered: int, what: str) -> None:
    assert client.texts == sent(journal)
    notes = events(journal, "altered")
    assert {note["what"] for note in notes} == {what}
    assert len(notes) == altered
    assert {note["sequence_num"] for note in notes} <= set(numbers(client.texts))


def test_an_added_field_is_in_every_row_and_nothing_else_changed(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"
    fault = AddField(channel="level2", field="venue_time", value={"ns": 7}, frames=5)
    client = capture(journal, fault, until=frames(200))
    rows = rows_of(client, "l2_data", "updates")
    added = [row for row in rows if "venue_time" in row]
    assert 0 < len(added) < len(rows)
    assert all(row["venue_time"] == {"ns": 7} for row in added)
    assert list(added[0]) == [*rows[-1], "venue_time"]
    assert_journal_knows(journal, client, 5, "added row.venue_time")


def test_a_removed_field_is_nowhere_and_a_frame_without_it_is_left_alone(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"
    client = capture(journal, RemoveField(field="best_bid"), until=frames(200))
    tickers = rows_of(client, "ticker", "tickers")
    assert tickers
    assert not [row for row in tickers if "best_bid" in row]
    assert all("best_ask" in row for row in tickers)
    told = sum(frame.get("channel") == "ticker" for frame in client.frames)
    assert_journal_knows(journal, client, told, "removed row.best_bid")


@pytest.mark.parametrize(
    ("to", "kind"),
    [("number", float), ("null", type(None)), ("list", list), ("object", dict)],
)
def test_a_retyped_field_is_of_the_other_type(tmp_path: Path, to: str, kind: type) -> None:
    journal = tmp_path / "sent.ndjson"
    fault = {"fault": "retype_field", "field": "price_level", "to": to, "channel": "level2"}
    client = capture(journal, fault, until=frames(100))
    rows = rows_of(client, "l2_data", "updates")
    assert {type(row["price_level"]) for row in rows} == {kind}
    told = sum(frame.get("channel") == "l2_data" for frame in client.frames)
    assert_journal_knows(journal, client, told, "retyped row.price_level")


def test_envelope_and_event_have_fields_too(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"
    faults = (
        RetypeField(place="envelope", field="sequence_num", to="text", frames=1),
        RemoveField(place="event", field="type", channel="ticker", frames=1),
        AddField(place="envelope", field="client_id", value="", channel="heartbeats"),
    )
    client = capture(journal, *faults, until=frames(100))
    assert client.frames[0]["sequence_num"] == "0"
    ticker = next(frame for frame in client.frames if frame["channel"] == "ticker")
    assert list(ticker["events"][0]) == ["tickers"]
    beats = [frame for frame in client.frames if frame["channel"] == "heartbeats"]
    assert all(frame["client_id"] == "" for frame in beats)
    assert client.texts == sent(journal)


def test_snapshots_come_unsorted_and_hold_the_same_levels(tmp_path: Path) -> None:
    def books(name: str, *faults: FrameFault) -> list[list[dict]]:
        # A market that stands still: the same seed, the same books.
        client = capture(tmp_path / name, *faults, until=frames(3), rate=0.001, channels=["level2"])
        return [event["updates"] for event in client.of("l2_data", "snapshot")]

    plain, shuffled = books("plain"), books("shuffled", UnsortedSnapshots())
    assert len(plain) == len(shuffled) == 3
    for sorted_book, book in zip(plain, shuffled, strict=True):
        assert book != sorted_book
        assert sorted(map(json.dumps, book)) == sorted(map(json.dumps, sorted_book))
        sides = [level["side"] for level in book]
        assert sides != sorted(sides), "the sides too are mixed"
    assert {note["what"] for note in events(tmp_path / "shuffled", "altered")} == {
        "unsorted snapshot"
    }


def test_several_products_share_a_frame_none_twice_and_the_books_stay_right(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "sent.ndjson"
    client = capture(journal, SharedFrames(products=3), until=frames(400))
    shared = [
        [event["product_id"] for event in frame["events"]]
        for frame in client.frames
        if frame["channel"] == "l2_data"
    ]
    assert max(map(len, shared)) == 3
    assert sum(len(products) > 1 for products in shared) > 20
    assert all(len(products) == len(set(products)) for products in shared)
    assert numbers(client.texts) == list(range(len(client.texts)))
    book: dict[tuple[str, str], str] = {}
    for frame in client.frames:
        for event in frame["events"] if frame["channel"] == "l2_data" else ():
            for level in event["updates"] if event["product_id"] == "BTC-USD" else ():
                book[level["side"], level["price_level"]] = level["new_quantity"]
    bids, offers = (
        [float(price) for (of, price), quantity in book.items() if of == side and quantity != "0"]
        for side in ("bid", "offer")
    )
    assert max(bids) < min(offers), "a book that was followed is never crossed"

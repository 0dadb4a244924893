"""A commit record reads back as it was written, and nothing else is taken for one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from commits import make_commit, make_part
from fluxforge.errors import LedgerError, LedgerFormatError
from fluxforge.ledger import (
    Commit,
    ConnectionSpan,
    Ledger,
    SequenceGap,
    describe_wire,
    summarise,
)
from fluxforge.storage import LocalStorage


def test_a_commit_reads_back_equal():
    commit = make_commit(
        parts=(make_part(product_id="BTC-USD"), make_part(table="status", product_id=None)),
        connections=(
            ConnectionSpan(
                conn="c",
                frames=2,
                first_sequence=0,
                last_sequence=3,
                first_capture_ns=1,
                last_capture_ns=2,
                missing=2,
                gaps=(SequenceGap(expected=1, seen=3, record=1, capture_ns=2),),
            ),
        ),
        rejects=("_rejects/x.ndjson",),
    )
    assert Commit.from_json(commit.to_json(), key="k") == commit


def test_a_commit_from_before_the_field_census_reads():
    record = json.loads(make_commit().to_json())
    record["rejects"] = None
    for name in ("missing_fields", "null_fields", "retyped_fields"):
        del record["balance"][name]
    assert Commit.from_json(json.dumps(record).encode(), key="k") == make_commit()


def test_differences_of_the_wire_are_told_as_literals_and_not_without_end():
    balance = make_commit().balance
    assert describe_wire(balance) == ""
    unknown = {f"new{n}\nCRITICAL": n for n in range(1, 10)}
    told = describe_wire(replace(balance, unknown_fields={"ticker": unknown}))
    assert told.startswith(r"ticker: 'new1\nCRITICAL' is new (1 times), ticker: ")
    assert told.endswith(", 3 more in the commit")
    assert "\n" not in told


def test_a_newer_format_says_upgrade():
    record = json.loads(make_commit().to_json()) | {"format": 2, "surprise": True}
    with pytest.raises(LedgerFormatError, match="Upgrade FluxForge; nothing was changed"):
        Commit.from_json(json.dumps(record).encode(), key="k")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"format":1}', b"null"])
def test_what_is_no_commit_is_told_by_its_key(data):
    with pytest.raises(LedgerError, match=r"_commits/odd\.json is not a commit record"):
        Commit.from_json(data, key="_commits/odd.json")


def test_of_two_commits_for_one_segment_the_first_counts(tmp_path):
    ledger = Ledger(LocalStorage(tmp_path), path="_commits")
    first, second = make_commit(worker="first"), make_commit(worker="second")
    assert ledger.publish(first) is first
    assert ledger.publish(second) == first
    assert ledger.find("segment", "uid") == first
    assert list(ledger.commits()) == [first]


def test_a_segment_without_a_commit_has_none(tmp_path):
    assert Ledger(LocalStorage(tmp_path), path="_commits").find("segment", "uid") is None


def _span(conn: str, first: int, last: int, missing: int = 0) -> ConnectionSpan:
    return ConnectionSpan(
        conn=conn,
        frames=last - first + 1 - missing,
        first_sequence=first,
        last_sequence=last,
        first_capture_ns=0,
        last_capture_ns=0,
        missing=missing,
        gaps=tuple(SequenceGap(expected=0, seen=0, record=0, capture_ns=0) for _ in range(missing)),
    )


def test_missing_numbers_are_followed_across_segments_by_connection():
    commits = [
        make_commit(segment="a", connections=(_span("one", 0, 9, missing=1), _span("two", 0, 4))),
        # Connection one lost 10 and 11 at the border; two went on without loss.
        make_commit(segment="b", connections=(_span("one", 12, 20), _span("two", 5, 6))),
    ]
    summary = summarise(commits)
    assert (summary.missing, summary.gaps, summary.connections) == (3, 2, 2)


def test_the_sum_of_unbalanced_books_is_unbalanced():
    assert summarise([make_commit(frames=3, parsed=2, ignored={"heartbeats": 1})]).balanced
    assert not summarise([make_commit(frames=3, parsed=1, ignored={"heartbeats": 1})]).balanced

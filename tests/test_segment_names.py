"""Labels and identities of segments."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxforge.errors import SegmentFormatError
from fluxforge.segment import SegmentName, read_header

HEADER = {
    "format": 1, "name": "segment_20251203T14_00001", "uid": "0f" * 16, "source": "coinbase",
    "writer": "tokyo-1", "created": "2025-12-03T14:00:00Z", "continues": None,
}  # fmt: skip


def line(**changed: Any) -> bytes:
    return json.dumps({"segment": HEADER | changed}, separators=(",", ":")).encode()


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.integers(0, 10**18 - 1),
    st.from_regex(r"[A-Za-z0-9-]{0,32}", fullmatch=True),
)
def test_a_name_comes_back_from_its_text(hour: datetime, counter: int, writer: str) -> None:
    hour = hour.replace(minute=0, second=0, microsecond=0)
    name = SegmentName(hour=hour, counter=counter, writer_id=writer)
    for suffix in ("", ".ndjson", ".ndjson.zst"):
        assert SegmentName.parse(f"{name}{suffix}") == name


@given(st.from_regex(r"segment_[0-9]{8}T[0-9]{2}_[0-9]{4,7}(_[A-Za-z0-9_-]{0,34})?"))
def test_a_text_is_a_name_only_in_its_own_spelling(text: str) -> None:
    name = SegmentName.parse(text)
    assert name is None or str(name) == text


def test_the_documented_names() -> None:
    name = SegmentName.parse("segment_20251203T14_00001_tokyo-1.ndjson")
    assert name is not None
    assert (name.hour, name.counter) == (datetime(2025, 12, 3, 14, tzinfo=UTC), 1)
    assert name.writer_id == "tokyo-1"
    assert str(SegmentName(hour=name.hour, counter=123456)) == "segment_20251203T14_123456"


def test_names_order_by_hour_then_counter() -> None:
    hour = datetime(2025, 12, 3, 14, tzinfo=UTC)
    early, late = hour, hour + timedelta(hours=1)
    names = [(early, 99_999), (early, 100_000), (late, 1)]
    ordered = [SegmentName(hour=h, counter=c) for h, c in names]
    late_first, *others = ordered[::-1]
    assert sorted([late_first, *others]) == ordered


@pytest.mark.parametrize(
    "text",
    [
        "segment_20251303T14_00001", "segment_20251203T24_00001", "segment_20251203T14_0001",
        "segment_20251203T14_000001", "segment_20251203T14_00001_", "segment_20251203T14_00001_a_b",
        "segment_20251203T14_00001_../x", "segment_20251203T14_00001\n", "x", "",
        "segment_20251203T14_0000\u0661", "a/segment_20251203T14_00001",
    ],
)  # fmt: skip
def test_other_texts_are_no_names(text: str) -> None:
    assert SegmentName.parse(text) is None


def test_a_name_refuses_what_it_could_not_read_back() -> None:
    hour = datetime(2025, 12, 3, 14, tzinfo=UTC)
    usual: dict[str, Any] = {"hour": hour, "counter": 1}
    wrongs: list[dict[str, Any]] = [
        {"hour": hour.replace(minute=1)}, {"hour": hour.replace(tzinfo=None)}, {"counter": -1},
        {"counter": 10**18}, {"writer_id": "a_b"}, {"writer_id": "x" * 64}, {"writer_id": "-a"},
    ]  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"."):
            SegmentName(**(usual | wrong))


def test_a_header_says_who_the_segment_is() -> None:
    header = read_header(line())
    assert header is not None
    assert (header.uid, header.writer, header.source) == ("0f" * 16, "tokyo-1", "coinbase")


@pytest.mark.parametrize(
    "first",
    [
        b"", b'{"segment":', b'{"segment":7}', b'{"segment":{"format":1}}', b'{"capture_ts":1}',
        line(uid="x"), line(uid=7), line(name="a/b"), line(name=5),
        line(name="../x"), line(format=True), line(format="1"), line(format=0),
    ],
)  # fmt: skip
def test_other_lines_are_no_headers(first: bytes) -> None:
    assert read_header(first) is None


def test_a_newer_header_says_upgrade() -> None:
    for newer in (line(format=2), b'{"segment":{"format":9,"other":true}}'):
        with pytest.raises(SegmentFormatError, match=r"newer FluxForge.*upgrade"):
            read_header(newer)

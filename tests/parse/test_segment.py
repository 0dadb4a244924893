"""Whole segments: structure, proofs, damage."""

from __future__ import annotations

import base64
import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fluxforge._native import ParsedSegment, SegmentParser, Xxh3
from fluxforge.errors import FeedError, SegmentFormatError, SegmentNotFoundError
from fluxforge.etl.readers import NDJSONReader, parse_segment
from fluxforge.feeds import load_feed
from fluxforge.storage import LocalStorage
from segment_bytes import GOLDEN, UID, SegmentBytes, compact, envelope, level2, update

EVENT = b'{"capture_ts":"2026-04-07T14:30:00Z","conn":"c1","event":{"kind":"connected"}}\n'


def line(sequence: int, *, prices: int = 1, conn: str = "c1") -> bytes:
    updates = [update(price_level=str(sequence + n / 8)) for n in range(prices)]
    return envelope(level2(*updates, sequence=sequence), conn=conn)


def two_groups() -> SegmentBytes:
    segment = SegmentBytes()
    segment.frames(line(1), line(2, prices=3))
    segment.event(EVENT)
    segment.checkpoint()
    segment.frames(line(3))
    segment.checkpoint()
    return segment


def records(parsed: ParsedSegment, table: str = "level2") -> list[int]:
    found: list[int] = pa.table(parsed.tables[table]).column("record").to_pylist()
    return found


def everything(parsed: ParsedSegment) -> tuple[Any, ...]:
    balance = parsed.balance
    return (
        {name: pa.table(table) for name, table in parsed.tables.items()},
        pa.table(parsed.rejects).to_pylist(),
        (balance.frames, balance.parsed, balance.ignored, balance.rejected, balance.events),
        (balance.rows, balance.inexact, balance.unknown_fields),
        (balance.missing_fields, balance.null_fields, balance.retyped_fields),
        (parsed.sealed, parsed.verified, parsed.raw_bytes, parsed.raw_xxh3, parsed.events),
        [(c.conn, c.frames, c.missing, c.last_sequence) for c in parsed.connections],
    )


def test_a_sealed_segment_is_verified() -> None:
    data = two_groups().seal()
    parsed = parse_segment(data)
    assert (parsed.sealed, parsed.verified) == (True, True)
    assert parsed.header is not None
    assert (parsed.header.uid, parsed.header.writer, parsed.header.format) == (UID, None, 1)
    assert parsed.events == [EVENT.rstrip()]
    assert (parsed.balance.frames, parsed.balance.parsed, parsed.balance.events) == (3, 3, 1)
    assert parsed.balance.holds()
    assert records(parsed) == [0, 1, 1, 1, 2]
    assert parsed.raw_bytes == len(data)
    digest = Xxh3()
    digest.update(data)
    assert parsed.raw_xxh3 == digest.hexdigest()


def test_an_open_segment_is_read_but_not_verified() -> None:
    segment = two_groups()
    segment.frames(line(4))
    parsed = parse_segment(segment.data + line(5)[:40])
    assert (parsed.sealed, parsed.verified) == (False, False)
    assert records(parsed) == [0, 1, 1, 1, 2, 3]
    assert parsed.balance.rejected == 1
    assert parsed.balance.holds()


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_pieces_of_any_size_give_the_same(size: int) -> None:
    data = two_groups().seal() + b"trailing\n" + line(9)
    whole = everything(parse_segment(data))
    parser = SegmentParser(load_feed("coinbase").spec)
    for start in range(0, len(data), size):
        parser.push(data[start : start + size])
    assert everything(parser.finish()) == whole


def test_threads_change_nothing() -> None:
    data = two_groups().seal()
    assert everything(parse_segment(data, threads=4)) == everything(parse_segment(data))


def test_a_flipped_bit_rejects_its_group_and_no_other() -> None:
    data = two_groups().seal()
    damaged = data.replace(b'"price_level":"1.0"', b'"price_level":"7.0"')
    assert damaged != data
    parsed = parse_segment(damaged)
    assert records(parsed) == [2]
    assert (parsed.balance.frames, parsed.balance.rejected) == (3, 2)
    assert parsed.balance.holds()
    assert (parsed.sealed, parsed.verified) == (True, False)
    rejects = pa.table(parsed.rejects).to_pylist()
    assert {r["reason"] for r in rejects} == {"its group does not match its checkpoint"}
    for reject in rejects:
        assert damaged[reject["offset"] :].startswith(reject["data"] + b"\n")
        assert damaged.splitlines()[reject["line"] - 1] == reject["data"]


def test_frames_of_a_bad_group_count_as_missing() -> None:
    data = two_groups().seal().replace(b'"price_level":"1.0"', b'"price_level":"7.0"')
    (connection,) = parse_segment(data).connections
    assert (connection.frames, connection.first_sequence) == (1, 3)


def test_a_group_come_again_is_refused() -> None:
    segment = two_groups()
    first = SegmentBytes()
    again = segment.data[len(first.data) :]
    parsed = parse_segment(segment.data + again)
    assert records(parsed) == [0, 1, 1, 1, 2]
    assert parsed.balance.rejected == 3
    assert not parsed.verified


def test_a_lost_group_shows() -> None:
    whole = two_groups()
    first = SegmentBytes()
    first.frames(line(1), line(2, prices=3))
    first.event(EVENT)
    first.checkpoint()
    holed = SegmentBytes().data + whole.data[len(first.data) :]
    parsed = parse_segment(holed)
    assert records(parsed) == [0]
    assert not parsed.verified


def test_a_stranger_s_group_is_refused() -> None:
    stranger = two_groups().data.replace(UID.encode(), b"f" * 32)
    assert parse_segment(stranger).balance.rejected == 3


def test_lines_behind_the_seal_are_refused() -> None:
    parsed = parse_segment(two_groups().seal() + line(4))
    assert (parsed.sealed, parsed.verified, parsed.balance.rejected) == (True, False, 1)


def test_a_damaged_tail_before_a_seal_is_refused() -> None:
    segment = two_groups()
    segment.frames(line(4))
    sealed = segment.seal()
    good = parse_segment(sealed)
    assert good.verified
    assert records(good)[-1] == 3
    bad = parse_segment(sealed.replace(b'"4.0"', b'"5.0"'))
    assert (bad.balance.rejected, bad.verified) == (1, False)


def test_a_newer_format_says_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "segment.ndjson"
    path.write_bytes(SegmentBytes(number=2).data)
    with pytest.raises(SegmentFormatError, match=r"segment\.ndjson.*newer FluxForge.*upgrade"):
        parse_segment(path)


def test_plain_ndjson_and_the_predecessor_s_envelope_parse_the_same() -> None:
    frame = level2(update())
    ours = parse_segment(envelope(frame, conn=""))
    theirs = b'{"metadata":{"a":[1]},"data":%s,"capture_ts":"2026-04-07T14:30:00.5+00:00"}' % frame
    parsed = parse_segment(theirs)
    assert everything(parsed)[0] == everything(ours)[0]
    assert parsed.header is None
    assert not parsed.verified


def test_raw_frames_are_read_like_others() -> None:
    frame = level2(update())
    head = b'{"capture_ts":"2026-04-07T14:30:00.5Z","conn":"c1",'
    pretty = json.dumps(json.dumps(json.loads(frame), indent=2)).encode()
    wanted = pa.table(parse_segment(envelope(frame)).tables["level2"])
    for content in (b'"raw":' + pretty, b'"raw_b64":"' + base64.b64encode(frame) + b'"'):
        parsed = parse_segment(head + content + b"}\n")
        assert pa.table(parsed.tables["level2"]) == wanted
    for content in (b'"raw":"hello"', b'"raw_b64":"//8="', b'"raw_b64":"%%"', b'"raw":null'):
        parsed = parse_segment(head + content + b"}\n")
        assert (parsed.balance.rejected, parsed.balance.holds()) == (1, True)


BAD_LINES = [
    b"", b"null", b"[]", b"{}", b"\xff", b'{"capture_ts":"2026-04-07T14:30:00Z"}',
    b'{"capture_ts":"2026-04-07","conn":"c","data":{}}',
    b'{"capture_ts":"1500-01-01T00:00:00Z","conn":"c","data":{}}',
    b'{"capture_ts":"2026-04-07T14:30:00Z","conn":7,"data":{}}',
    b'{"capture_ts":"2026-04-07T14:30:00Z","conn":"c","data":{},"event":{}}',
    b'{"capture_ts":"2026-04-07T14:30:00Z","conn":"c","data":{"channel":"new"}}',
    b'{"capture_ts":"2026-04-07T14:30:00Z","conn":"c","data":{"type":"other"}}',
    b'{"capture_ts":"2026-04-07T14:30:00Z","conn":"c","data":[]}',
    b'{"capture_ts":"2026-04-07T14:30:00Z","conn":"c","conn":"d","data":{}}',
    envelope(level2(update()))[:-2], envelope(level2(update())).rstrip() + b"x",
    envelope(level2(update(), update(price_level="x"))).rstrip(),
    envelope(level2(update(), update(price_level=...))).rstrip(),
    envelope(level2(update(), update(price_level=None))).rstrip(),
    envelope(level2(update(), update(price_level="1e999"))).rstrip(),
    envelope(level2(update(side=True))).rstrip(),
    envelope(level2(update(event_time="yesterday"))).rstrip(),
    envelope(level2(update(), sequence=1.5)).rstrip(),
    envelope(level2(update()).replace(b'"side"', b'"side":"bid","side"')).rstrip(),
    envelope(level2(update()).replace(b"bid", b"\\ud800")).rstrip(),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_bad_line_never_harms_its_neighbours(bad: bytes) -> None:
    before, after = line(1, prices=2), line(2, prices=2)
    alone = pa.table(parse_segment(before + after).tables["level2"])
    parsed = parse_segment(before + bad + b"\n" + after)
    assert (parsed.balance.frames, parsed.balance.rejected) == (3, 1)
    assert parsed.balance.holds()
    table = pa.table(parsed.tables["level2"])
    assert table.drop_columns("record") == alone.drop_columns("record")
    assert records(parsed) == [0, 0, 2, 2]
    (reject,) = pa.table(parsed.rejects).to_pylist()
    assert (reject["record"], reject["line"], reject["offset"]) == (1, 2, len(before))
    assert reject["data"] == bad
    assert reject["reason"]
    (kept,) = map(json.loads, parsed.rejects_ndjson().splitlines())
    data = kept["data"].encode() if "data" in kept else base64.b64decode(kept["data_b64"])
    assert (kept["record"], kept["offset"], data) == (1, len(before), bad)


def test_a_rejected_frame_leaves_nothing_in_any_partition() -> None:
    event = {"type": "update", "product_id": "A-B", "updates": [update(), update(side="x")]}
    other = {**event, "product_id": "C-D", "updates": [update(price_level="bad")]}
    frame = compact({"channel": "l2_data", "sequence_num": 4, "events": [event, event, other]})
    parsed = parse_segment(envelope(frame) + line(5))
    assert [p.product_id for p in parsed.partitions] == ["BTC-USD"]
    table = pa.table(parsed.partitions[0])
    assert table.column("side").chunk(0).dictionary.to_pylist() == ["bid"]
    (connection,) = parsed.connections
    assert (connection.first_sequence, connection.missing) == (4, 0)


HOSTILE = [
    "",
    "a\0b",
    "a\nb",
    "\x7f",
    "\x85",
    "x" * 65,
    "é" * 33,
    "__HIVE_DEFAULT_PARTITION__",
    7,
    None,
]


@pytest.mark.parametrize("product_id", HOSTILE)
def test_a_product_that_cannot_be_a_directory_is_refused(product_id: Any) -> None:
    parsed = parse_segment(envelope(level2(update(), product_id=product_id)))
    assert (parsed.balance.rejected, parsed.partitions) == (1, [])
    assert "product_id" in pa.table(parsed.rejects).column("reason")[0].as_py()


@pytest.mark.parametrize("product_id", ["../../x", "a/b", "💡", "x" * 64, "a b=c%d", ".."])
def test_other_products_are_kept_as_they_are(product_id: Any) -> None:
    (partition,) = parse_segment(envelope(level2(update(), product_id=product_id))).partitions
    assert partition.product_id == product_id


def test_keys_may_come_in_any_order() -> None:
    value = json.loads(level2(update(), update(side="offer"), product_id="A-B"))
    (event,) = value["events"]
    other = dict(event, type="snapshot", product_id="C-D")
    (alone,) = parse_segment(envelope(compact(value))).partitions
    wanted = pa.table(alone).drop_columns("item").to_pylist()
    for keys in permutations(event):
        for top in (list(value), list(value)[::-1]):
            # The other event stands first: what it says must not reach into the next.
            turned = [{k: e[k] for k in keys} for e in (other, event)]
            frame = compact({k: {**value, "events": turned}[k] for k in top})
            table = pa.table(parse_segment(envelope(frame)).partitions[0])
            assert table.drop_columns("item").to_pylist() == wanted


def test_an_event_without_a_product_does_not_take_its_neighbour_s() -> None:
    value = json.loads(level2(update()))
    value["events"].append({"updates": [update()]})
    assert parse_segment(envelope(compact(value))).balance.rejected == 1
    value["events"][1] = {"product_id": "A-B", "updates": [update()]}
    parsed = parse_segment(envelope(compact(value)))
    assert pa.table(parsed.tables["level2"]).column("event_type").to_pylist() == [None, "update"]


def test_nulls_sentinels_and_absent_fields() -> None:
    frame = level2(
        update(event_time="1970-01-01T00:00:00Z"),
        update(event_time="0001-01-01T00:00:00.000Z"),
        update(event_time="1970-01-01T01:00:00+01:00"),
        update(event_time=None),
        update(event_time=...),
        update(),
    )
    table = pa.table(parse_segment(envelope(frame)).tables["level2"])
    assert table.column("event_time").is_null().to_pylist() == [True] * 5 + [False]


def test_a_sentinel_that_repeats_is_null_in_every_row_of_every_frame() -> None:
    times = ["2026-04-07T14:30:00Z", *["1970-01-01T00:00:00Z"] * 3, "2026-04-07T14:30:00Z"]
    frame = level2(*[update(event_time=time) for time in times])
    table = pa.table(parse_segment(envelope(frame) * 4).tables["level2"])
    sentinel = [False, True, True, True, False]
    assert table.column("event_time").is_null().to_pylist() == sentinel * 4


def test_numbers_may_be_strings_or_numbers() -> None:
    for text in ["1", "-0.0", "1e-7", "12345678901234567890.5", "5e-324", "0.1"]:
        both = level2(update(price_level="@", new_quantity=text)).replace(b'"@"', text.encode())
        table = pa.table(parse_segment(envelope(both)).tables["level2"])
        for column in ("price_level", "new_quantity"):
            assert table.column(column)[0].as_py().hex() == float(text).hex()


def test_a_decimal_that_does_not_fit_rejects_its_frame() -> None:
    frame = envelope(level2(update(price_level="0.0000000000000000001")))
    assert parse_segment(frame).balance.rejected == 0
    parsed = parse_segment(frame, numbers="decimal")
    assert parsed.balance.rejected == 1
    assert "decimal128" in pa.table(parsed.rejects).column("reason")[0].as_py()


def test_values_that_float64_cannot_hold_are_counted() -> None:
    frame = level2(update(price_level="1.234567890123456"), update(price_level="1.5"))
    bad = level2(update(price_level="1.234567890123456"), update(side=None))
    parsed = parse_segment(envelope(frame) + envelope(bad))
    assert parsed.balance.inexact["level2"] == 1
    assert [p.inexact for p in parsed.partitions] == [1]


def test_unknown_fields_are_counted_by_channel() -> None:
    value = json.loads(level2(update(new=[{"a": 1}]), update(new=None)))
    value["extra"] = {}
    parsed = parse_segment(envelope(compact(value)) * 2)
    counts = {"events[].updates[].new": 4, "extra": 2}
    assert parsed.balance.unknown_fields == {"l2_data": counts}


def test_an_endless_unknown_key_is_cut() -> None:
    frame = level2(update()).replace(b'{"channel"', b'{"%s":1,"channel"' % (b"x" * 1000))
    counts = parse_segment(envelope(frame)).balance.unknown_fields
    assert counts == {"l2_data": {"x" * 128: 1}}


def test_missing_null_and_retyped_fields_are_counted_by_channel() -> None:
    odd = update(event_time=..., price_level="@1@", new_quantity="2")
    frame = json.loads(level2(odd, update(event_time=None), sequence="7"))
    del frame["timestamp"]
    del frame["events"][0]["type"]
    balance = parse_segment(envelope(compact(frame).replace(b'"@1@"', b"1.5")) * 3).balance
    assert balance.parsed == 3
    path = "events[].updates[]"
    missing = {"timestamp": 3, "events[].type": 3, f"{path}.event_time": 3}
    assert balance.missing_fields == {"l2_data": missing}
    assert balance.null_fields == {"l2_data": {f"{path}.event_time": 3}}
    assert balance.retyped_fields == {"l2_data": {"sequence_num": 3, f"{path}.price_level": 3}}
    assert balance.unknown_fields == {}


def test_a_null_in_place_of_rows_is_counted_also_once_the_shape_is_known() -> None:
    frame = json.loads(level2(update()))
    no_rows = frame | {"events": [frame["events"][0] | {"updates": None}]}
    no_events = frame | {"events": None}
    for odd, path in ((no_rows, "events[].updates"), (no_events, "events")):
        text = envelope(compact(frame)) * 3 + envelope(compact(odd))
        assert parse_segment(text).balance.null_fields == {"l2_data": {path: 1}}


def test_what_a_channel_never_sends_is_not_missing() -> None:
    row = {"type": "ticker", "product_id": "A-B", "price": "1"}
    frame = {"channel": "ticker_batch", "events": [{"type": "snapshot", "tickers": [row]}]}
    batch = parse_segment(envelope(compact(frame))).balance.missing_fields["ticker_batch"]
    single = parse_segment(envelope(compact(frame | {"channel": "ticker"}))).balance
    quotes = {f"events[].tickers[].best_{of}" for of in ("bid", "ask", "bid_quantity")}
    assert not quotes & set(batch)
    assert quotes < set(single.missing_fields["ticker"])


def test_a_rejected_frame_is_not_in_the_census() -> None:
    frame = level2(update(side=None, new=1), sequence="1")
    balance = parse_segment(envelope(frame)).balance
    assert balance.rejected == 1
    assert (balance.unknown_fields, balance.retyped_fields, balance.null_fields) == ({}, {}, {})


def test_empty_frames_are_parsed_and_have_no_rows() -> None:
    shapes: list[Any] = [[], None, [{}], [{"updates": []}], [{"product_id": None, "updates": None}]]
    for events in shapes:
        parsed = parse_segment(envelope(compact({"channel": "l2_data", "events": events})))
        assert (parsed.balance.parsed, parsed.balance.rows["level2"]) == (1, 0), events
    parsed = parse_segment(envelope(b'{"channel":"l2_data"}'))
    assert parsed.balance.parsed == 1


def test_status_has_no_product_and_one_partition() -> None:
    products = [{"id": "A-B", "status": "online", "min_market_funds": 1}, {"id": "C-D"}]
    frame = {"channel": "status", "events": [{"type": "snapshot", "products": products}]}
    parsed = parse_segment(envelope(compact(frame)))
    (partition,) = parsed.partitions
    assert (partition.table, partition.product_id, partition.num_rows) == ("status", None, 2)
    table = pa.table(parsed.tables["status"])
    assert table.column("min_market_funds").to_pylist() == ["1", None]


def test_sequences_of_two_connections_are_apart() -> None:
    heartbeats = (GOLDEN / "heartbeats.json").read_bytes().strip()
    beat = heartbeats.replace(b'"sequence_num":0', b'"sequence_num":2')
    lines = [line(1), line(8, conn="c2"), envelope(beat), line(3), line(11, conn="c2")]
    first, second = parse_segment(b"".join(lines)).connections
    assert (first.conn, first.frames, first.missing) == ("c1", 3, 0)
    assert (second.conn, second.frames, second.missing) == ("c2", 2, 2)
    (gap,) = second.gaps
    assert (gap.expected, gap.seen, gap.record) == (9, 11, 4)


def test_archives_are_read_on_the_way(tmp_path: Path) -> None:
    data = two_groups().seal()
    packed = pa.compress(data, codec="zstd", asbytes=True)
    path = tmp_path / "raw" / "segment.ndjson.zst"
    path.parent.mkdir()
    path.write_bytes(packed)
    wanted = everything(parse_segment(data))
    assert everything(parse_segment(path)) == wanted
    assert everything(parse_segment(packed)) == wanted
    reader = NDJSONReader(LocalStorage(tmp_path))
    assert everything(reader.read("raw/segment.ndjson.zst")) == wanted


def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    with pytest.raises(SegmentNotFoundError, match=r"gone\.ndjson"):
        parse_segment(tmp_path / "gone.ndjson")
    with pytest.raises(SegmentNotFoundError, match=r"gone\.ndjson"):
        NDJSONReader(LocalStorage(tmp_path)).read("gone.ndjson")


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(FeedError, match="coinbase"):
        parse_segment(b"", feed="nowhere")
    with pytest.raises(FeedError, match="feed description"):
        SegmentParser(b"{}")
    with pytest.raises(ValueError, match="numbers"):
        parse_segment(b"", numbers="float32")  # type: ignore[arg-type] # the point of the test
    with pytest.raises(ValueError, match="threads"):
        parse_segment(b"", threads=0)

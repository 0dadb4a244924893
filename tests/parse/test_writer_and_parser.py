"""What the writer wrote is what the parser reads: two implementations of one format."""

from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fluxforge.etl.readers import parse_segment
from segment_bytes import level2, update
from through_the_writer import CAPTURE_NS, written


def test_a_written_segment_is_verified() -> None:
    frames = [level2(update(price_level=str(n)), sequence=n) for n in range(1000)]
    parsed, _ = written(frames, events=2)
    assert (parsed.sealed, parsed.verified) == (True, True)
    assert (parsed.balance.parsed, parsed.balance.events) == (1000, 2)
    assert [p.max_capture_ns - CAPTURE_NS for p in parsed.partitions] == [999]
    (connection,) = parsed.connections
    assert (connection.frames, connection.missing) == (1000, 0)


def test_damage_to_any_group_is_found() -> None:
    frames = [level2(update(price_level=f"{n}.25"), sequence=n) for n in range(50)]
    _, data = written(frames)
    damaged = parse_segment(data.replace(b'"17.25"', b'"71.25"'))
    assert not damaged.verified
    assert damaged.balance.rejected > 0
    assert damaged.balance.holds()


FORGERIES = [
    b'{"event":{"kind":"gap"}}',
    b'{}}\n{"capture_ts":"2026-04-07T14:30:00Z","conn":"c1","event":{"kind":"gap"}}',
    b'{"channel":"heartbeats"},"event":{"kind":"gap"}',
    b'1}\n{"checkpoint":{"n":1}}\n',
    b'"\n',
    b"",
]


@settings(max_examples=40, deadline=None)
@example(FORGERIES)
@given(st.lists(st.binary(max_size=40) | st.sampled_from(FORGERIES), min_size=1, max_size=20))
def test_any_bytes_are_one_frame_and_never_more(frames: list[bytes]) -> None:
    parsed, data = written(frames)
    assert parsed.verified
    assert (parsed.balance.frames, parsed.balance.events) == (len(frames), 0)
    assert parsed.balance.holds()
    # The same by an independent reader: each line is JSON, each frame an envelope.
    lines = [json.loads(line) for line in data.splitlines()]
    assert sum("capture_ts" in line for line in lines) == len(frames)
    assert not any("event" in line for line in lines)

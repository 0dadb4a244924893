"""One segment, one result: over runs, processes, threads and pieces, and over releases."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from corpus import lines

from fluxforge._native import ParsedSegment, SegmentParser
from fluxforge.etl.readers import parse_segment
from fluxforge.etl.readers.parse import Numbers
from fluxforge.feeds import load_feed
from parsed_bytes import books, fingerprint
from through_the_writer import write

SEGMENTS = Path(__file__).parents[1] / "data" / "segments"
DOCUMENTED = SEGMENTS / "documented.ndjson"
HOW_TO_UPDATE = "if the change is meant, tests/data/segments/README.md says what to do"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed segment of two megabytes in which lines are bad, groups damaged and names rare."""
    rng = random.Random(7)
    frames: list[bytes] = []
    # Without the snapshots, which are larger than all the rest.
    for line in islice(lines(products=40, seed=11), 40, 3_000):
        frame = line[line.index(b'"data":') + 7 : -2]
        match rng.randrange(40):
            case 0:
                frame = frame[: rng.randrange(len(frame))]
            case 1:
                frame = frame.replace(b'"bid"', b'"bid%d"' % len(frames), 1)
            case 2:
                frame = frame.replace(b'"type"', b'"k%d":1,"type"' % rng.randrange(400), 1)
            case 3:
                frame = frame.replace(b'"price_level":"', b'"price_level":"0.00000000000000001', 1)
            case 4:
                frame = rng.randbytes(30)
            case 5:
                continue  # a sequence number that is missing
            case _:
                pass
        frames.append(frame)
    path = write(tmp_path_factory.mktemp("hostile"), frames, events=3)
    damaged = bytearray(path.read_bytes())
    for at in (len(damaged) // 3, len(damaged) // 2):
        damaged[at] ^= 4
    path.write_bytes(damaged)
    return path


def in_pieces(path: Path, size: int, *, threads: int) -> ParsedSegment:
    parser = SegmentParser(load_feed("coinbase").spec, threads=threads)
    data = path.read_bytes()
    for start in range(0, len(data), size):
        parser.push(data[start : start + size])
    return parser.finish()


def test_runs_agree(hostile: Path) -> None:
    first = parse_segment(hostile)
    assert first.balance.holds()
    assert first.balance.rejected > 100
    assert not first.verified
    assert len(first.balance.unknown_fields["l2_data"]) > 10
    assert fingerprint(parse_segment(hostile)) == fingerprint(first)


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [70_001, 1 << 20, 1 << 30])
def test_threads_and_pieces_agree(hostile: Path, threads: int, size: int) -> None:
    assert fingerprint(in_pieces(hostile, size, threads=threads)) == fingerprint(
        parse_segment(hostile)
    )


def test_processes_agree(hostile: Path) -> None:
    tests = Path(__file__).parents[1]
    program = (
        f"import sys; sys.path.insert(0, {str(tests)!r})\n"
        "from fluxforge import parse_segment\n"
        "from parsed_bytes import fingerprint\n"
        "print(fingerprint(parse_segment(sys.argv[1])))"
    )
    # What hashes by a secret of the process would order by it too.
    for seed in ("0", "1"):
        other = subprocess.run(
            [sys.executable, "-c", program, str(hostile)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert other.stdout.strip() == fingerprint(parse_segment(hostile))


def readable(parsed: ParsedSegment) -> dict[str, Any]:
    """What a parse gives, without Arrow's own bytes, which its releases may lay out anew."""
    tables = {}
    for name, native in parsed.tables.items():
        digest = hashlib.sha256()
        table = pa.table(native)
        for index, field in enumerate(table.schema):
            if pa.types.is_timestamp(field.type):
                times = table.column(index).cast(pa.int64())
                table = table.set_column(index, field.name, times)
        for row in table.to_pylist():
            values = [v.hex() if isinstance(v, float) else str(v) for v in row.values()]
            digest.update(json.dumps(values).encode() + b"\n")
        tables[name] = digest.hexdigest()[:16]
    kept = hashlib.sha256(parsed.rejects_ndjson()).hexdigest()[:16]
    return {**books(parsed), "tables": tables, "rejects": kept}


@pytest.mark.parametrize("numbers", ["float64", "decimal"])
def test_the_documented_segment_gives_what_it_always_gave(numbers: Numbers) -> None:
    golden = SEGMENTS / "rows.json"
    found = readable(parse_segment(DOCUMENTED, numbers=numbers))
    known = json.loads(golden.read_text()) if golden.exists() else {}
    if os.environ.get("FLUXFORGE_GOLDEN") == "write":
        known[numbers] = found
        golden.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    assert found == known.get(numbers), HOW_TO_UPDATE

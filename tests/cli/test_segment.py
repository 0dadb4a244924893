"""`fluxforge segment` with one segment in hand: whole, cut, damaged, foreign, archived, alive."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import segment_bytes
import written_segment
from fluxforge.cli import main
from fluxforge.ingestion.writers import LogWriter
from fluxforge.storage import LocalStorage

NAME = "segment_20260407T14_00001.ndjson"
CAPTURE = "2026-04-07T14:30:00.500000000Z"
FRAMES = [b'{"n":%d}' % n for n in range(6)]


@pytest.fixture
def command(monkeypatch, capsys):
    """Run ``fluxforge segment ...`` in this process; exit code, standard output and error."""

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["fluxforge", "segment", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        return ended.value.code or 0, output.out, output.err

    return command


def groups() -> segment_bytes.SegmentBytes:
    """Three groups of two frames, not sealed."""
    segment = segment_bytes.SegmentBytes()
    for first in (0, 2, 4):
        pair = FRAMES[first : first + 2]
        segment.frames(*(segment_bytes.envelope(frame, capture_ts=CAPTURE) for frame in pair))
        segment.checkpoint()
    return segment


def harmed(data: bytes) -> bytes:
    """One byte of the second group is another."""
    return data.replace(b'{"n":2}', b'{"n":7}', 1)


def put(tmp_path, data: bytes, name: str = NAME):
    path = tmp_path / name
    path.write_bytes(data)
    return path


# -- inspect and check ----------------------------------------------------------------------------


def test_a_whole_segment(tmp_path, command):
    path = put(tmp_path, groups().seal())
    code, out, _ = command("inspect", path)
    assert code == 0
    assert "verdict: whole" in out
    assert "proved: 6 frames and 0 events in 4 groups" in out
    assert "seal: holds: 6 frames, 0 events, durability fsync" in out
    assert segment_bytes.UID in out
    assert command("check", path)[:2] == (0, f"{path}: whole, 6 frames and 0 events proved\n")
    code, out, _ = command("inspect", "--json", path)
    told = json.loads(out)
    assert (code, told["verdict"], told["damage"]) == (0, "whole", [])
    assert told["connections"] == {"c1": 6}
    assert told["bytes"] == path.stat().st_size


@pytest.mark.parametrize("tail", [b'{"capture_ts":"2026-', b'{"half":1}\n{"'])
def test_a_torn_segment_is_cut_off_at_its_last_checkpoint(tmp_path, command, tail):
    data = groups().data
    path = put(tmp_path, data + tail)
    code, out, _ = command("check", path)
    assert code == 1
    assert "cut, 6 frames" in out
    line = data.count(b"\n") + 1
    assert f" {line}" in out
    assert f"from byte {len(data):,}: {len(tail)} bytes that no checkpoint follows" in out
    code, out, _ = command("inspect", path)
    assert code == 1
    assert f"fluxforge segment recover {path} (keeps 6 frames" in out


def test_a_dead_writers_segment_without_a_seal(tmp_path, command):
    code, out, _ = command("check", put(tmp_path, groups().data))
    assert (code, "unsealed" in out) == (1, True)


@pytest.mark.parametrize("sealed", [True, False])
def test_corruption_in_the_middle_is_told_by_line_byte_group_and_frames(tmp_path, command, sealed):
    segment = groups()
    data = harmed(segment.seal() if sealed else segment.data)
    path = put(tmp_path, data)
    code, out, _ = command("inspect", "--json", path)
    (damage,) = json.loads(out)["damage"]
    lines = data.split(b"\n")
    assert (code, damage["what"], damage["group"], damage["frames"]) == (1, "corrupt", 2, 2)
    assert (damage["line"], damage["lines"]) == (6, 3)
    assert damage["offset"] == len(b"\n".join(lines[:5])) + 1
    code, out, _ = command("inspect", path)
    assert f"lines 6 to 8, from byte {damage['offset']:,}" in out
    assert "2 frames in it were vouched for once" in out
    assert ("does not hold" in out) is sealed


@pytest.mark.parametrize(
    ("data", "verdict", "code"),
    [
        (b"", "empty", 1),
        (b'{"capture_ts":"x","data":{}}\n', "plain", 2),
        (b"\x00\xff" * 100_000, "plain", 2),
        (b'{"segment":{"format":9,"shape":"new"}}\n', "newer", 2),
        (b'{"segment":{"format":1,"uid":"', "damaged", 1),
    ],
)
def test_what_is_no_segment_is_called_by_its_name(tmp_path, command, data, verdict, code):
    path = put(tmp_path, data)
    assert command("check", path)[0] == code
    told = json.loads(command("inspect", "--json", path)[1])
    assert (told["verdict"], told["exit_code"]) == (verdict, code)
    assert command("inspect", path)[0] == code


@pytest.mark.parametrize("verb", ["inspect", "check", "recover"])
def test_missing_files_and_directories_are_usage_errors(tmp_path, command, verb):
    code, out, err = command(verb, tmp_path / "nothing.ndjson")
    assert (code, out) == (2, "")
    assert "no file is there" in err
    code, _, err = command(verb, tmp_path)
    assert (code, "is a directory" in err) == (2, True)


@pytest.mark.parametrize("verb", ["inspect", "check", "recover"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path, command, verb):
    pipe = tmp_path / "pipe.ndjson"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        code, out, err = command(verb, path)
        assert (code, out) == (2, "")
        assert "is no regular file" in err


def test_check_goes_on_after_a_bad_one_and_the_worst_decides(tmp_path, command):
    whole = put(tmp_path, groups().seal(), "whole.ndjson")
    cut = put(tmp_path, groups().data + b"x", "cut.ndjson")
    code, out, _ = command("check", cut, whole)
    assert (code, len(out.splitlines())) == (1, 2)
    code, out, err = command("check", tmp_path / "gone", whole, "--json")
    assert code == 2
    assert "gone" in err
    assert json.loads(out)["verdict"] == "whole"


def test_an_archive_is_read_as_it_is(tmp_path, command):
    data = groups().seal()
    archive = pa.compress(data, codec="zstd", asbytes=True)
    path = put(tmp_path, archive, NAME + ".zst")
    told = json.loads(command("inspect", "--json", path)[1])
    assert (told["verdict"], told["bytes"]) == ("whole", len(data))
    assert command("check", path)[0] == 0
    path.write_bytes(pa.compress(harmed(data), codec="zstd", asbytes=True))
    assert command("check", path)[0] == 1
    code, _, err = command("recover", path)
    assert (code, "zstd -d" in err) == (2, True)
    path.write_bytes(archive[: len(archive) // 2])
    assert command("check", path)[0] == 1


def test_a_terminal_gets_a_table(tmp_path, command, monkeypatch):
    path = put(tmp_path, groups().seal().replace(b'"conn":"c1"', b'"conn":"[b]"'), "[red].ndjson")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    code, out, _ = command("inspect", path)
    assert code == 1
    assert "verdict" in out
    assert "[red]" in out, "text, not markup"


# -- living writers -------------------------------------------------------------------------------


def test_a_living_writers_segment_grows_and_is_left_alone(tmp_path, command):
    writer = LogWriter(
        LocalStorage(str(tmp_path)),
        active_path="active",
        ready_path="ready",
        quarantine_path="quarantine",
        source="test",
    )
    for frame in FRAMES:
        writer.append(frame, capture_ns=1, conn="c1")
    while writer.durable_position < len(FRAMES):
        pass
    (path,) = (tmp_path / "active").glob("segment_*")
    code, out, _ = command("inspect", path)
    assert (code, "verdict: growing" in out) == (0, True)
    code, _, err = command("recover", path)
    assert (code, "its writer lives" in err or "growing" in err) == (2, True)
    assert sorted(p.name for p in path.parent.iterdir() if p.is_dir()) == []
    writer.close_sync()
    (sealed,) = (tmp_path / "ready").iterdir()
    assert command("check", sealed)[0] == 0


# -- recover --------------------------------------------------------------------------------------


def test_a_torn_segment_is_recovered_beside_itself(tmp_path, command):
    data = groups().data + b"torn"
    path = put(tmp_path, data)
    code, out, _ = command("recover", path)
    copy = tmp_path / "recovered" / NAME
    assert code == 0
    assert f"wrote {copy}: 6 frames" in out
    assert path.read_bytes() == data, "the original stays"
    segment = written_segment.read(copy)
    assert segment.frames == FRAMES
    assert [event["kind"] for event in segment.events] == ["cut", "gap"]
    assert command("check", copy)[0] == 0

    before = copy.read_bytes()
    assert command("recover", path)[0] == 0
    assert [p.name for p in copy.parent.iterdir()] == [NAME]
    assert copy.read_bytes() == before


def test_a_corrupt_group_is_kept_in_a_file_and_the_exit_code_says_so(tmp_path, command):
    path = put(tmp_path, harmed(groups().seal()))
    code, out, _ = command("recover", path, "--out", tmp_path / "a" / "b", "--json")
    told = json.loads(out)
    assert (code, told["outcome"], told["frames"]) == (1, "sealed", 4)
    (kept,) = told["kept"]
    assert b'{"n":7}' in Path(kept).read_bytes()
    segment = written_segment.read(tmp_path / "a" / "b" / NAME)
    assert segment.frames == FRAMES[:2] + FRAMES[4:]


def test_recover_leaves_what_is_whole_and_refuses_what_is_foreign(tmp_path, command):
    code, out, _ = command("recover", put(tmp_path, groups().seal()))
    assert (code, "nothing to recover" in out) == (0, True)
    for data in (b"{}\n", b'{"segment":{"format":9}}\n'):
        code, _, err = command("recover", put(tmp_path, data))
        assert (code, "Nothing was written" in err) == (2, True)
    code, out, _ = command("recover", put(tmp_path, b'{"segment":{"format":1,"uid":"'))
    assert (code, "nothing was written" in out) == (1, True)
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


def test_a_copy_is_not_put_into_a_writers_directory(tmp_path, command):
    active = tmp_path / "active"
    active.mkdir()
    (active / ".lock").touch()
    path = put(tmp_path, groups().data)
    code, _, err = command("recover", path, "--out", active)
    assert (code, "choose another directory" in err) == (2, True)


# -- any bytes ------------------------------------------------------------------------------------


@settings(
    max_examples=100,
    deadline=None,
    # Each example writes the same file anew.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: groups().data + tail))
def test_any_bytes_are_inspected_and_recovered_without_a_traceback(tmp_path, command, data):
    path = put(tmp_path, data)
    assert command("inspect", path)[0] in {0, 1, 2}
    assert command("check", path)[0] in {0, 1, 2}
    code, *_ = command("recover", path, "--out", tmp_path / "out")
    assert code in {0, 1, 2}
    assert path.read_bytes() == data

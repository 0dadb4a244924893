"""What bad input gets: a clear line that says what to do, the right exit code, nothing lost."""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

import oracle
import raw_segments
from processes import Running, run, running, wait_until
from venue import venue

SEGMENT = "segment_20251203T14_00001.ndjson"
NEWER = (
    b'{"segment":{"format":2,"name":"segment_20251203T14_00001",'
    b'"uid":"0123456789abcdef0123456789abcdef","source":"coinbase","writer":null,'
    b'"created":"2025-12-03T14:00:00.000000000Z","continues":null,"novelty":1}}\n'
)


def assert_one_clear_line(done, *expected):
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if " INFO " not in line]
    assert len(errors) == 1, done.stderr
    for text in expected:
        assert text in done.stderr


@pytest.mark.parametrize("command", ["fluxforge-ingest", "fluxforge-etl"])
def test_a_wrong_key_names_the_nearest_one_and_touches_nothing(command, tmp_path):
    (tmp_path / "config.yaml").write_text("ingestion:\n  segment_max_md: 10\n")
    done = run(command, cwd=tmp_path)
    assert_one_clear_line(done, "config.yaml:2", "segment_max_md", "segment_max_mb")
    assert not (tmp_path / "data").exists()


def test_an_unknown_channel_says_which_there_are(tmp_path):
    done = run("fluxforge-ingest", "--channel", "lvl2", cwd=tmp_path)
    assert_one_clear_line(done, "lvl2", "level2", "--channel")


@pytest.mark.parametrize(
    "command", [["fluxforge-ingest"], ["fluxforge-etl", "--once"], ["fluxforge", "demo"]]
)
def test_a_directory_that_cannot_be_made_is_told_in_a_line(command, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    done = run(*command, "--data-dir", str(tmp_path / "file" / "data"), cwd=tmp_path)
    assert_one_clear_line(done, str(tmp_path / "file"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_permission_is_told_in_a_line(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    done = run("fluxforge-ingest", "--data-dir", str(closed), cwd=tmp_path)
    assert_one_clear_line(done, str(closed))


@pytest.mark.parametrize(
    ("command", "state"),
    [(["fluxforge-ingest"], "active"), (["fluxforge-etl", "--once"], "ready")],
)
def test_a_newer_segment_says_upgrade_and_stays(command, state, tmp_path):
    segment = tmp_path / "data" / "raw" / state / "coinbase" / SEGMENT
    segment.parent.mkdir(parents=True)
    segment.write_bytes(NEWER)
    done = run(*command, cwd=tmp_path)
    assert_one_clear_line(done, SEGMENT.removesuffix(".ndjson"), "pgrade")
    assert segment.read_bytes() == NEWER
    assert not list((tmp_path / "data").rglob("*.parquet"))


def test_an_unreachable_host_is_retried_for_ever_with_a_clear_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        with running("fluxforge-ingest", "--url", url, cwd=tmp_path) as ingest:
            line = ingest.wait_for("trying again in")
            assert url in line
            wait_until(
                lambda: ingest.output.count("trying again in") >= 2, what=lambda: ingest.output
            )
            assert ingest.stop() == 0, ingest.output
            assert "Traceback" not in ingest.output


# -- frames that no venue should send -------------------------------------------------------


def l2(product, sequence, price="1.5"):
    """A level2 frame, as the wire has them."""
    return json.dumps(
        {
            "channel": "l2_data",
            "timestamp": "2025-12-03T14:00:00Z",
            "sequence_num": sequence,
            "events": [
                {
                    "type": "update",
                    "product_id": product,
                    "updates": [
                        {
                            "side": "bid",
                            "event_time": "2025-12-03T14:00:00Z",
                            "price_level": price,
                            "new_quantity": "2",
                        }
                    ],
                }
            ],
        },
        separators=(",", ":"),
    )


def record(frames, home: Path) -> Path:
    """Record frames from a venue until all are durable, stop, and run the ETL."""
    data_dir = home / "data"
    with venue(frames) as here:
        command = ("fluxforge-ingest", "--url", here.url, "--data-dir", str(data_dir))
        ingest = Running(*command, cwd=home)
        active = data_dir / "raw" / "active" / "coinbase"

        def durable() -> bool:
            segments = active.glob("*.ndjson")
            count = sum(len(list(raw_segments.durable_records(file))) for file in segments)
            return count >= len(frames)

        wait_until(durable, what=lambda: f"{len(frames)} frames:\n{ingest.output}")
        assert ingest.stop() == 0, ingest.output
    done = run("fluxforge-etl", "--once", "--data-dir", str(data_dir), cwd=home)
    assert done.returncode == 0, done.stderr
    return data_dir


def books(data_dir):
    """The one commit."""
    (path,) = (data_dir / "processed" / "coinbase" / "_commits").glob("*.json")
    return json.loads(path.read_bytes())


def rejects(data_dir):
    """The rejected frames, as lines."""
    directory = data_dir / "processed" / "coinbase" / "_rejects"
    return [
        json.loads(line)
        for path in directory.glob("*.ndjson")
        for line in path.read_bytes().splitlines()
    ]


def test_malformed_and_alien_frames_are_kept_and_their_neighbours_unharmed(tmp_path):
    odd = [
        "",
        "not json",
        '{"channel":"l2_data"',
        b"\xff\xfe binary \x00",
        '{"channel":"unheard_of","sequence_num":7,"events":[]}',
        '[{"channel":"l2_data"}]',
        '{"event":{"kind":"gap"}}',
        '{"capture_ts":"2025-12-03T14:00:00Z","conn":"x","event":{"kind":"gap"}}\n',
        '{"seal":{"frames":0}}',
        l2("BTC-USD", 5, price="not a number"),
        l2("BTC-USD", 6).replace(",", ",\n"),
    ]
    frames = [l2("BTC-USD", 0)]
    for number, frame in enumerate(odd):
        frames += [frame, l2("BTC-USD", number + 100)]
    data_dir = record(frames, tmp_path)

    balance = books(data_dir)["balance"]
    assert balance["frames"] == len(frames)
    assert balance["parsed"] + balance["rejected"] == len(frames)
    # A frame over several lines is as good as any: it is kept as text and parsed from there.
    good = len(frames) - len(odd) + 1
    assert balance["rows"]["level2"] == good
    kept = rejects(data_dir)
    assert len(kept) == balance["rejected"] == len(odd) - 1
    assert all(reject["reason"] for reject in kept)
    scanned = rows_by_product(data_dir)
    assert scanned["BTC-USD"] == good


def rows_by_product(data_dir) -> Counter[str]:
    """Rows of level2 by product, as polars reads the directory."""
    files = data_dir / "processed" / "coinbase" / "level2" / "**" / "*.parquet"
    frame = pl.scan_parquet(files, hive_schema={"product_id": pl.String, "date": pl.Date})
    return Counter(frame.select("product_id").collect().to_series().to_list())


def test_hostile_product_ids_stay_inside_the_root(tmp_path):
    hostile = ["../../x", "a/b", "..", ".", "/etc/passwd", "🦀", "a=b", "%2e%2e", "a b", "A\\B"]
    refused = ["x" * 10_000, "a\x00b", "", "\x1b[31m"]
    home = tmp_path / "inner"
    home.mkdir()
    frames = [l2(product, i) for i, product in enumerate([*hostile, *refused, "BTC-USD"])]
    before = set(tmp_path.iterdir())
    data_dir = record(frames, home)

    assert set(tmp_path.iterdir()) == before
    assert {path.name for path in home.iterdir()} == {"data"}
    lake = data_dir / "processed" / "coinbase"
    parts = list(data_dir.rglob("*.parquet"))
    assert {path.relative_to(lake).parts[0] for path in parts} == {"level2", "coverage"}
    in_coverage = pl.read_parquet(lake / "coverage")["product_id"].drop_nulls().to_list()
    assert set(in_coverage) == {*hostile, "BTC-USD"}
    assert rows_by_product(data_dir) == Counter([*hostile, "BTC-USD"])
    assert len(rejects(data_dir)) == len(refused)
    assert books(data_dir)["balance"]["rejected"] == len(refused)


def test_real_messages_go_the_whole_way(tmp_path):
    golden = Path(__file__).parent.parent / "data" / "coinbase"
    frames = [path.read_text().strip() for path in sorted(golden.glob("*.json"))]
    frames.remove((golden / "expected.json").read_text().strip())
    data_dir = record(frames, tmp_path)
    balance = books(data_dir)["balance"]
    expected = oracle.expected_rows(frame for frame in frames if "sequence_num" in frame)
    assert balance["rejected"] == 0
    assert balance["ignored"] == {"error": 1, "heartbeats": 1, "subscriptions": 1}
    rows = {table: count for table, count in balance["rows"].items() if count}
    assert rows == {table: rows.total() for table, rows in expected.items()}

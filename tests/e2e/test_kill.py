"""kill -9 of ingest and of the ETL, again and again: DESIGN's oracle holds afterwards.

Acknowledged ⊆ in the lake ⊆ sent, each once. What was acknowledged is logged outside the process
that is killed: ingest says how many frames it has reported durable, the exchange's journal which
they were.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
import pytest

import lake_rows
import oracle
from processes import Running, clean_environment, run, running, simulator, wait_until

PRODUCTS = "BTC-USD,ETH-USD"


def start_ingest(url, data_dir, home):
    return Running("fluxforge-ingest", "--url", url, "--data-dir", str(data_dir), cwd=home)


def killed_ingest(url: str, data_dir: Path, home: Path, seconds: float) -> int:
    """Have ingest record, and kill it so long after it connected.

    Returns how many frames it had reported durable.
    """
    command = [sys.executable, Path(__file__).with_name("ingest_that_tells.py"), url, data_dir]
    log = home / f"{data_dir.name}.durable"
    with log.open("wb") as said, (home / f"{data_dir.name}.errors").open("wb") as errors:
        ingest = subprocess.Popen(
            command, cwd=home, env=clean_environment(), stdout=said, stderr=errors
        )
        try:
            wait_until(
                lambda: log.stat().st_size,
                what=lambda: f"a connection:\n{Path(errors.name).read_text()}",
                alive=lambda: ingest.poll() is None,
            )
            time.sleep(seconds)
        finally:
            ingest.kill()
            ingest.wait()
    # A line that the kill cut short was not said.
    return int(log.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[2] or 0)


@pytest.mark.parametrize(
    "kills", [pytest.param(20, id="20"), pytest.param(200, id="200", marks=pytest.mark.slow)]
)
@pytest.mark.timeout(3600)
def test_ingest_killed_at_random_moments_loses_nothing_acknowledged(kills, tmp_path):
    """At the full rate of the socket; each kill is followed by recovery, the ETL and the oracle."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    journal = tmp_path / "journal.ndjson"
    # Often enough that kills land between sealing, publishing and the next segment too.
    (tmp_path / "config.yaml").write_text("ingestion: {segment_max_seconds: 0.05}\n")
    acknowledged: list[int] = []
    with simulator("--rate", "0", "--products", PRODUCTS, journal=journal) as (url, exchange):
        for kill in range(kills):
            data_dir = tmp_path / f"data-{kill}"
            acknowledged.append(killed_ingest(url, data_dir, tmp_path, rng.uniform(0, 0.4)))
            recovering = start_ingest(url, data_dir, tmp_path)
            recovering.wait_for("connected to")
            assert recovering.stop() == 0, recovering.output
        assert exchange.stop() == 0, exchange.output

    assert sum(acknowledged) > 0
    for kill, durable in enumerate(acknowledged):
        data_dir = tmp_path / f"data-{kill}"
        done = run("fluxforge-etl", "--once", "--data-dir", str(data_dir), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        # Each start makes one connection: the one that was killed, and the one that recovered.
        conns = (2 * kill + 1, 2 * kill + 2)
        # Over one connection frames come in order: so many are the first so many.
        must = oracle.expected_rows(islice(oracle.journal_frames(journal, conn=conns[0]), durable))
        sent = oracle.expected_rows(
            chain.from_iterable(oracle.journal_frames(journal, conn=conn) for conn in conns)
        )
        lake = lake_rows.counters(data_dir)
        for table in set(must) | set(lake):
            rows = lake.get(table, Counter())
            assert must.get(table, Counter()) <= rows <= sent[table], (kill, table)
        assert_what_is_missing_is_known(data_dir, journal, conns[0], kill)


def assert_what_is_missing_is_known(data_dir, journal, conn, kill):
    """What the killed connection lost is its end, and raw says from when on it is missing."""
    with_time, gaps = {}, []
    for archive in (data_dir / "raw").glob("archive/*/*/*.zst"):
        with pa.CompressedInputStream(str(archive), "zstd") as lines:
            for line in lines.read().splitlines():
                record = json.loads(line)
                if "data" in record:
                    with_time[json.dumps(record["data"])] = record["capture_ts"]
                elif record.get("event", {}).get("kind") == "gap":
                    gaps.append(record["event"])
    sent = [json.dumps(json.loads(frame)) for frame in oracle.journal_frames(journal, conn=conn)]
    kept = [frame in with_time for frame in sent]
    count = sum(kept)
    assert kept[:count] == [True] * count, f"a hole before the end of connection {conn}"
    if count < len(sent):
        (gap,) = gaps
        assert gap["end_ts"] is None
        if count:
            # Or later: an event of ours may be the last that is known of the connection.
            assert gap["start_ts"] >= with_time[sent[count - 1]], kill


def test_etl_killed_at_random_moments_gives_each_row_once(tmp_path):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    journal, data_dir = tmp_path / "journal.ndjson", tmp_path / "data"
    # A kill cannot be told from a crash in the parser: more of them than a segment is allowed.
    (tmp_path / "config.yaml").write_text(
        "ingestion: {segment_max_seconds: 0.4}\netl: {max_crashes: 100}\n"
    )
    with simulator("--rate", "3000", "--products", PRODUCTS, journal=journal) as (url, exchange):
        ingest = start_ingest(url, data_dir, tmp_path)
        ready = data_dir / "raw" / "ready" / "coinbase"
        wait_until(lambda: len(list(ready.glob("*.ndjson"))) >= 8, what=lambda: ingest.output)
        assert ingest.stop() == 0, ingest.output
        assert exchange.stop() == 0, exchange.output

    command = ("fluxforge-etl", "--once", "--data-dir", str(data_dir))
    claims = data_dir / "raw" / "processing" / "coinbase"
    killed_at_work = 0
    for _ in range(6):
        before = set(claims.glob("*.json"))
        with running(*command, cwd=tmp_path) as etl:
            wait_until(
                lambda before=before, etl=etl: (
                    set(claims.glob("*.json")) - before or etl.process.poll() is not None
                ),
                what=lambda etl=etl: f"a claim of its own:\n{etl.output}",
            )
            if etl.process.poll() is not None:
                break  # it was faster than the look at its claims
            time.sleep(rng.uniform(0, 0.1))
            etl.kill()
        killed_at_work += 1
        if not list(ready.glob("*.ndjson")):
            break
    assert killed_at_work >= 2
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not list(ready.glob("[!.]*")), "segments are left"
    # What begins with a dot is a write that the kill cut short; no listing shows it.
    assert not list(claims.glob("[!.]*")), "claims are left"

    sent = oracle.expected_rows(oracle.journal_frames(journal))
    lake = lake_rows.counters(data_dir)
    assert lake == sent

"""The same commands with S3 in place of the disk: all-S3 and hybrid, on a moto server."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
import yaml

import fluxforge
import oracle
from chaos_proxy import proxied
from fluxforge.config import load_config
from processes import run, running, simulator, wait_until
from s3_servers import SECRET_KEY, S3Server

COLUMNS = ["product_id", "sequence_num", "price_level", "new_quantity"]


@pytest.fixture(params=["moto", "radosgw"])
def server(request) -> S3Server:
    return request.getfixturevalue(request.param)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The directory in which the commands run, and this process too."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys(server: S3Server, bucket: str) -> list[str]:
    listing = server.admin.list_objects_v2(Bucket=bucket)
    return [entry["Key"] for entry in listing.get("Contents", [])]


def configure(home: Path, **sections) -> None:
    sections.setdefault("ingestion", {}).setdefault("writer_id", "test-1")
    sections["ingestion"]["spool_dir"] = str(home / "spool")
    (home / "config.yaml").write_text(yaml.safe_dump(sections))


def record_and_commit(home: Path) -> Counter:
    """Record for a second, run the ETL, and return the level2 rows that were sent."""
    journal = home / "journal.ndjson"
    with simulator("--products", "BTC-USD,ETH-USD", journal=journal) as (url, exchange):
        with running("fluxforge-ingest", "--url", url, cwd=home) as ingest:
            ingest.wait_for("connected to")
            time.sleep(1)
            assert ingest.stop() == 0, ingest.output
        assert exchange.stop() == 0
    done = run("fluxforge-etl", "--once", cwd=home)
    assert done.returncode == 0, done.stderr
    assert SECRET_KEY not in ingest.output + done.stderr
    return level2_rows(journal)


def level2_rows(journal: Path) -> Counter:
    """The level2 rows that were sent."""
    wanted = [oracle.COLUMNS["level2"].index(column) for column in COLUMNS]
    rows = oracle.expected_rows(oracle.journal_frames(journal))["level2"]
    return Counter(tuple(row[i] for i in wanted) for row in rows.elements())


def scanned(home: Path) -> Counter:
    frame = fluxforge.scan(load_config(home / "config.yaml"), "level2").select(COLUMNS)
    return Counter(frame.collect().iter_rows())


def test_all_s3(server, home):
    bucket = server.bucket()
    configure(home, storage=server.config(f"s3://{bucket}/desk"))
    sent = record_and_commit(home)
    assert scanned(home) == sent
    lying = keys(server, bucket)
    assert all(key.startswith("desk/") for key in lying)
    assert not [key for key in lying if "/ready/" in key or "/processing/" in key]
    assert not [key for key in lying if "probe" in key]
    assert len([key for key in lying if "/archive/" in key]) == 1
    assert not list((home / "spool").rglob("*.ndjson")), "empty once all is uploaded"
    assert not (home / "data").exists()


def test_run_records_and_commits_side_by_side_on_s3(server, home):
    bucket, journal = server.bucket(), home / "journal.ndjson"
    configure(
        home,
        storage=server.config(bucket),
        ingestion={"segment_max_seconds": 0.5},
        etl={"poll_interval": 0.1},
    )
    storage = server.storage(bucket=bucket)
    commits = "processed/coinbase/_commits"
    with simulator("--products", "BTC-USD", journal=journal) as (url, exchange):
        with running("fluxforge", "run", "--url", url, cwd=home) as both:
            wait_until(
                lambda: len(storage.list_files(commits, "segment_*.json")) >= 2,
                what=lambda: both.output,
            )
            assert both.stop() == 0, both.output
        assert exchange.stop() == 0
    assert storage.list_files("raw/ready", recursive=True) == []
    assert scanned(home) == level2_rows(journal)


def test_ingest_to_disk_and_etl_to_s3(server, home):
    bucket = server.bucket()
    configure(home, etl={"storage_output": server.config(bucket)})
    sent = record_and_commit(home)
    assert scanned(home) == sent
    assert all(key.startswith("processed/") for key in keys(server, bucket))
    assert not (home / "data" / "processed").exists()
    assert len(list((home / "data" / "raw" / "archive").rglob("*.zst"))) == 1


def test_ingest_to_s3_and_etl_to_disk(server, home):
    bucket = server.bucket()
    raw = server.config(bucket)
    configure(home, ingestion={"storage": raw}, etl={"storage_input": raw})
    sent = record_and_commit(home)
    assert scanned(home) == sent
    assert all(key.startswith("raw/") for key in keys(server, bucket))
    files = home / "data" / "processed" / "coinbase" / "level2" / "**" / "*.parquet"
    assert pl.scan_parquet(files).collect().height == sent.total()


def test_raw_in_one_bucket_and_the_lake_in_another(server, home):
    raw, lake = server.bucket(), server.bucket()
    configure(
        home, storage=server.config(raw), etl={"storage_output": server.config(f"{lake}/lake")}
    )
    sent = record_and_commit(home)
    assert scanned(home) == sent
    # What is left beside the archive says which lake this raw becomes.
    assert all(key.startswith(("raw/archive/", "raw/_lakes/")) for key in keys(server, raw))
    assert all(key.startswith("lake/processed/") for key in keys(server, lake))


def test_a_store_that_cannot_keep_workers_apart_is_refused_unless_there_is_one(rclone, home):
    bucket = rclone.bucket()
    configure(home, storage=rclone.config(bucket))
    refused = run("fluxforge-etl", "--once", cwd=home)
    assert refused.returncode == 2, refused.stderr
    assert "took a second object for a key that was taken" in refused.stderr
    assert "Traceback" not in refused.stderr
    configure(home, storage=rclone.config(bucket), etl={"single_worker": True})
    sent = record_and_commit(home)
    # Read through our own storage: this server answers no ranges, and polars insists on them.
    lake = rclone.storage(bucket=bucket)
    parts = lake.list_files("processed/coinbase/level2", "*.parquet", recursive=True)
    assert sum(pl.read_parquet(lake.read_bytes(part)).height for part in parts) == sent.total()


def test_s3_without_a_writer_id_says_which_key_to_set(moto, home):
    (home / "config.yaml").write_text(yaml.safe_dump({"storage": moto.config("any-bucket")}))
    done = run("fluxforge-ingest", cwd=home)
    assert done.returncode == 2
    assert "ingestion.writer_id" in done.stderr


@pytest.mark.parametrize("command", [["fluxforge-etl", "--once"], ["fluxforge-etl"]])
def test_a_missing_bucket_is_a_clear_line(command, moto, home):
    configure(home, storage=moto.config("no-such-bucket"))
    done = run(*command, cwd=home)
    assert done.returncode == 2, done.stderr
    assert "no-such-bucket" in done.stderr
    assert "Traceback" not in done.stderr


def test_s3_away_from_start_to_stop_loses_nothing(moto, home):
    bucket = moto.bucket()
    journal = home / "journal.ndjson"
    with proxied(moto.endpoint) as proxy:
        configure(home, storage=moto.config(f"{bucket}/desk", endpoint_url=proxy.endpoint))
        proxy.down()
        with simulator("--products", "BTC-USD,ETH-USD", journal=journal) as (url, exchange):
            with running("fluxforge-ingest", "--url", url, cwd=home) as ingest:
                ingest.wait_for("connected to")
                time.sleep(1)
                assert ingest.stop() == 2, ingest.output
            assert exchange.stop() == 0
        assert "Traceback" not in ingest.output
        spool = home / "spool" / bucket / "desk" / "raw" / "ready" / "coinbase"
        assert "Capture goes on: 0 sealed segments" in ingest.output, "said at the start already"
        assert f"1 sealed segments (0 MiB) wait in {spool}" in ingest.output
        (waiting,) = spool.glob("*.ndjson")
        proxy.up()
        # The next start finds the spool, whether the exchange answers or not.
        with running("fluxforge-ingest", "--url", url, cwd=home) as ingest:
            ingest.wait_for(f"shipped {waiting.name}")
            assert ingest.stop() == 0, ingest.output
        assert not waiting.exists()
        assert run("fluxforge-etl", "--once", cwd=home).returncode == 0
        assert scanned(home) == level2_rows(journal)


def test_a_spool_belongs_to_one_place(moto, home):
    """What waits for one bucket never goes up to another."""
    here, there = moto.bucket(), moto.bucket()
    for bucket in (here, there):
        configure(home, storage=moto.config(bucket, endpoint_url="http://127.0.0.1:1"))
        with (
            simulator("--products", "BTC-USD", journal=home / f"{bucket}.ndjson") as (url, _),
            running("fluxforge-ingest", "--url", url, cwd=home) as ingest,
        ):
            ingest.wait_for("connected to")
            assert ingest.stop() == 2, ingest.output
    configure(home, storage=moto.config(here))
    with running("fluxforge-ingest", "--url", url, cwd=home) as ingest:
        ingest.wait_for("shipped ")
        assert ingest.stop() == 0, ingest.output
    assert len(keys(moto, here)) == 1
    assert keys(moto, there) == []
    assert len(list((home / "spool" / there).rglob("segment_*.ndjson"))) == 1


def test_secrets_are_in_no_output_however_verbose(moto, home):
    token = "a-session-token-of-the-tests"
    configure(home, storage=moto.config(moto.bucket(), aws_session_token=token))
    outputs = [
        run(*command, cwd=home)
        for command in (
            ("fluxforge", "config", "show"),
            ("fluxforge", "config", "show", "--json"),
            ("fluxforge", "config", "check"),
            ("fluxforge-etl", "--once", "--verbose"),
        )
    ]
    configure(home, storage=moto.config("no-such-bucket", aws_session_token=token))
    outputs.append(run("fluxforge-etl", "--once", "--verbose", cwd=home))
    assert [done.returncode for done in outputs] == [0, 0, 0, 0, 2]
    said = "".join(done.stdout + done.stderr for done in outputs)
    assert "********" in said
    assert SECRET_KEY not in said
    assert token not in said

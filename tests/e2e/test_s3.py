"""The same commands with S3 in place of the disk: all-S3 and hybrid, on a moto server."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import boto3
import polars as pl
import pytest

import fluxforge
import oracle
from fluxforge.config import load_config
from processes import run, running, simulator

KEYS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "very-secret"}
COLUMNS = ["product_id", "sequence_num", "price_level", "new_quantity"]


@pytest.fixture
def endpoint(moto):
    return moto.endpoint


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The directory in which the commands run, and this process too."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bucket(endpoint: str, name: str):
    """An empty bucket, and a client that looks into it."""
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **KEYS)
    client.create_bucket(Bucket=name)
    return client


def keys(client, name: str) -> list[str]:
    return [entry["Key"] for entry in client.list_objects_v2(Bucket=name).get("Contents", [])]


def s3_yaml(endpoint: str, base_dir: str) -> str:
    """The lines of a storage section for a bucket, without their indent."""
    return (
        f"{{backend: s3, base_dir: {base_dir}, s3: {{endpoint_url: '{endpoint}', "
        f"region: us-east-1, aws_access_key_id: {KEYS['aws_access_key_id']}, "
        f"aws_secret_access_key: {KEYS['aws_secret_access_key']}}}}}"
    )


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
    assert "very-secret" not in ingest.output + done.stderr
    wanted = [oracle.COLUMNS["level2"].index(column) for column in COLUMNS]
    rows = oracle.expected_rows(oracle.journal_frames(journal))["level2"]
    return Counter(tuple(row[i] for i in wanted) for row in rows.elements())


def scanned(home: Path) -> Counter:
    frame = fluxforge.scan(load_config(home / "config.yaml"), "level2").select(COLUMNS)
    return Counter(frame.collect().iter_rows())


def test_all_s3(endpoint, home):
    client = bucket(endpoint, "all-s3")
    spool = home / "spool"
    (home / "config.yaml").write_text(
        f"storage: {s3_yaml(endpoint, 's3://all-s3/desk')}\n"
        f"ingestion: {{writer_id: test-1, spool_dir: '{spool}'}}\n"
    )
    sent = record_and_commit(home)
    assert scanned(home) == sent
    lying = keys(client, "all-s3")
    assert all(key.startswith("desk/") for key in lying)
    assert not [key for key in lying if "/ready/" in key or "/processing/" in key]
    assert len([key for key in lying if "/archive/" in key]) == 1
    assert not list(spool.rglob("*.ndjson")), "the spool is empty once all is uploaded"
    assert not (home / "data").exists()


def test_ingest_to_disk_and_etl_to_s3(endpoint, home):
    client = bucket(endpoint, "lake-only")
    (home / "config.yaml").write_text(f"etl:\n  storage_output: {s3_yaml(endpoint, 'lake-only')}\n")
    sent = record_and_commit(home)
    assert scanned(home) == sent
    assert all(key.startswith("processed/") for key in keys(client, "lake-only"))
    assert not (home / "data" / "processed").exists()
    assert len(list((home / "data" / "raw" / "archive").rglob("*.zst"))) == 1


def test_ingest_to_s3_and_etl_to_disk(endpoint, home):
    client = bucket(endpoint, "raw-only")
    (home / "config.yaml").write_text(
        f"ingestion:\n  writer_id: test-1\n  spool_dir: '{home / 'spool'}'\n"
        f"  storage: {s3_yaml(endpoint, 'raw-only')}\n"
        f"etl:\n  storage_input: {s3_yaml(endpoint, 'raw-only')}\n"
    )
    sent = record_and_commit(home)
    assert scanned(home) == sent
    assert all(key.startswith("raw/") for key in keys(client, "raw-only"))
    files = home / "data" / "processed" / "coinbase" / "level2" / "**" / "*.parquet"
    assert pl.scan_parquet(files).collect().height == sent.total()


def test_s3_without_a_writer_id_says_which_key_to_set(endpoint, home):
    (home / "config.yaml").write_text(f"storage: {s3_yaml(endpoint, 'any-bucket')}\n")
    done = run("fluxforge-ingest", cwd=home)
    assert done.returncode == 2
    assert "ingestion.writer_id" in done.stderr


@pytest.mark.parametrize("command", [["fluxforge-etl", "--once"], ["fluxforge-etl"]])
def test_a_missing_bucket_is_a_clear_line(command, endpoint, home):
    (home / "config.yaml").write_text(f"storage: {s3_yaml(endpoint, 'no-such-bucket')}\n")
    done = run(*command, cwd=home)
    assert done.returncode == 2, done.stderr
    assert "no-such-bucket" in done.stderr
    assert "Traceback" not in done.stderr

"""The six checks that the project began with and never ran on S3; the sixth, of roles, lies in
tests/storage/test_s3_credentials.py. On a store that verifies who asks.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import fluxforge
from fluxforge.config import load_config
from fluxforge.errors import StorageAccessError
from fluxforge.storage import S3Storage
from processes import run, running, simulator, wait_until
from raw_segments import durable_frames
from s3_servers import LIMITED_CREDENTIALS, LIMITED_USER, S3Server

PAGE = Path(__file__).parents[2] / "docs" / "UNIFIED_STORAGE_ARCHITECTURE.md"
ACTIVE, READY = "raw/active/coinbase", "raw/ready/coinbase"


@dataclass
class Desk:
    """A configuration for S3, what was recorded with it, and what the ETL made of that."""

    home: Path
    storage: S3Storage
    active: list[str]
    open_segment: list[str]
    ready_while_recording: list[str]
    ready: dict[str, bytes]
    etl: Any


def documented_policy(bucket: str) -> dict[str, Any]:
    """The policy of the documentation, as one for a bucket and a user."""
    (text,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    policy = json.loads(text.replace("my-bucket", bucket))
    for statement in policy["Statement"]:
        statement["Principal"] = {"AWS": [f"arn:aws:iam:::user/{LIMITED_USER}"]}
    return policy


@pytest.fixture(scope="module")
def desk(radosgw: S3Server, tmp_path_factory) -> Desk:
    """Record all to S3 and run the ETL there, with no more rights than the documentation asks."""
    home = tmp_path_factory.mktemp("desk")
    bucket = radosgw.bucket()
    policy = json.dumps(documented_policy(bucket))
    radosgw.admin.put_bucket_policy(Bucket=bucket, Policy=policy)
    storage = radosgw.storage("desk", bucket=bucket, **LIMITED_CREDENTIALS)
    config = {
        "storage": radosgw.config(f"{bucket}/desk", **LIMITED_CREDENTIALS),
        "ingestion": {
            "writer_id": "w1",
            "spool_dir": str(home / "spool"),
            "segment_max_seconds": 0.5,
            "ship_interval": 0.1,
        },
    }
    (home / "config.yaml").write_text(yaml.safe_dump(config))
    spool = home / "spool" / bucket / "desk" / ACTIVE
    with simulator("--products", "BTC-USD", journal=home / "journal.ndjson") as (url, exchange):
        with running("fluxforge-ingest", "--url", url, cwd=home) as ingest:
            wait_until(lambda: storage.list_files(READY), what=lambda: ingest.output)
            open_frames = wait_until(
                lambda: [f for path in spool.glob("*.ndjson") for f in durable_frames(path)],
                what=lambda: "durable frames",
            )
            active = wait_until(lambda: storage.list_files(ACTIVE), what=lambda: "pieces")
            ready = storage.list_files(READY)
            assert ingest.stop() == 0, ingest.output
        assert exchange.stop() == 0
    sealed = {key: storage.read_bytes(key) for key in storage.list_files(READY)}
    etl = run("fluxforge-etl", "--once", cwd=home)
    return Desk(home, storage, active, open_frames, ready, sealed, etl)


def test_ingestion_writes_to_s3_active(desk):
    """In pieces, under names of their own: nobody takes one for a segment."""
    assert desk.active
    for key in desk.active:
        assert re.fullmatch(
            rf"{ACTIVE}/segment_\d{{8}}T\d\d_\d{{5}}_w1\.[0-9a-f]{{32}}\.(\d{{12}}|published)", key
        )
    assert desk.open_segment, "frames are durable on the spool before they travel"
    assert desk.storage.list_files(ACTIVE) == [], "pieces go when the segment is in ready/"


def test_segment_rotation_writes_to_s3_ready(desk):
    assert desk.ready_while_recording, "sealed by age, while recording went on"
    for key, content in desk.ready.items():
        assert re.fullmatch(rf"{READY}/segment_\d{{8}}T\d\d_\d{{5}}_w1\.ndjson", key)
        assert b'"seal":' in content.splitlines()[-1]
    assert not list((desk.home / "spool").rglob("*.ndjson"))


def test_etl_reads_from_s3_ready(desk):
    assert desk.etl.returncode == 0, desk.etl.stderr
    assert f"{len(desk.ready)} segments committed" in desk.etl.stderr
    assert desk.storage.list_files(READY) == []
    assert len(desk.storage.list_files("raw/archive", "*.zst", recursive=True)) == len(desk.ready)


def test_etl_writes_to_s3_processed(desk, monkeypatch):
    parts = desk.storage.list_files("processed/coinbase/level2", "part_*.parquet", recursive=True)
    assert parts
    assert all("/product_id=BTC-USD/date=" in part for part in parts)
    assert len(desk.storage.list_files("processed/coinbase/_commits", "*.json")) >= len(desk.ready)
    monkeypatch.chdir(desk.home)
    rows = fluxforge.scan(load_config(desk.home / "config.yaml"), "level2").collect()
    assert rows.height > 0


def test_proper_s3_bucket_permissions(desk):
    """What the documentation's policy grants is enough; what it would lack is named."""
    assert desk.etl.returncode == 0, desk.etl.stderr
    assert "forbidden" not in desk.etl.stderr


@pytest.mark.parametrize(
    ("action", "verb", "needed"),
    [
        ("s3:PutObject", lambda s: s.create_new(b"", "y"), "s3:PutObject"),
        ("s3:PutObject", lambda s: s.write_bytes(b"", "y"), "s3:PutObject"),
        ("s3:GetObject", lambda s: s.read_bytes("x"), "s3:GetObject"),
        ("s3:GetObject", lambda s: s.size("x"), "s3:GetObject"),
        ("s3:DeleteObject", lambda s: s.delete("x"), "s3:DeleteObject"),
        ("s3:ListBucket", lambda s: s.list_files(), "s3:ListBucket"),
        (
            "s3:ListBucketMultipartUploads",
            lambda s: s.sweep_unfinished(older_than=0),
            "s3:ListBucketMultipartUploads",
        ),
    ],
)
def test_each_permission_of_the_policy_is_named_where_it_lacks(radosgw, action, verb, needed):
    bucket = radosgw.bucket()
    policy = documented_policy(bucket)
    for statement in policy["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each != action]
    policy["Statement"] = [each for each in policy["Statement"] if each["Action"]]
    radosgw.admin.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    radosgw.storage(bucket=bucket).write_bytes(b"there", "x")
    with pytest.raises(StorageAccessError, match=needed) as caught:
        verb(radosgw.storage(bucket=bucket, **LIMITED_CREDENTIALS))
    assert bucket in str(caught.value)

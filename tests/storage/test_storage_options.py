"""Other libraries open what lies in a storage with the options it gives them: scan and write."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest

from fluxforge.storage import LocalStorage
from probing import unavailable

FRAME = pl.DataFrame({"product_id": ["BTC-USD", "ETH-USD", "BTC-USD"], "n": [1, 2, 3]})
# Reads and writes with pandas, in an interpreter that has it: s3fs would hold our boto3 back.
PANDAS = """
import json, sys
import pandas as pd
source, target, options = json.load(sys.stdin)
frame = pd.read_parquet(source, storage_options=options)
frame["n"] *= 2
frame.to_parquet(target, storage_options=options)
print(pd.read_parquet(target, storage_options=options)["n"].sum())
"""


@pytest.fixture(params=["local", "moto", "radosgw"])
def storage(request, tmp_path):
    if request.param == "local":
        storage = LocalStorage(tmp_path / "root")
        storage.mkdir("lake")
        return storage
    return request.getfixturevalue(request.param).storage("some/prefix")


def test_polars_scans_and_writes(storage):
    options = storage.get_storage_options("polars") or None
    for number, n in enumerate([1, 2]):
        target = storage.get_full_path(f"lake/{number}.parquet")
        FRAME.filter(pl.col("n") > n).lazy().sink_parquet(target, storage_options=options)
    assert storage.list_files("lake") == ["lake/0.parquet", "lake/1.parquet"]
    lake = pl.scan_parquet(storage.get_full_path("lake/*.parquet"), storage_options=options)
    assert lake.filter(pl.col("n") > 2).collect()["n"].to_list() == [3, 3]


def test_pyarrow_scans_and_writes(storage, monkeypatch):
    # No option of pyarrow's: how it is told not to send what older stores do not understand.
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    options = storage.get_storage_options("pyarrow")
    local = storage.local_path("") is not None
    files = pa.fs.LocalFileSystem() if local else pa.fs.S3FileSystem(**options)
    root = storage.get_full_path("lake").removeprefix("s3://")
    pa.dataset.write_dataset(
        FRAME.to_arrow(),
        root,
        filesystem=files,
        format="parquet",
        partitioning=["product_id"],
        partitioning_flavor="hive",
    )
    assert len(storage.list_files("lake", recursive=True)) == 2
    lake = pa.dataset.dataset(root, filesystem=files, partitioning="hive")
    assert sorted(lake.to_table(filter=pa.dataset.field("n") > 1)["n"].to_pylist()) == [2, 3]


def test_pandas_scans_and_writes(storage):
    python = os.environ.get("FLUXFORGE_PANDAS", sys.executable)
    if python == sys.executable and importlib.util.find_spec("s3fs") is None:
        unavailable("FLUXFORGE_PANDAS names no interpreter that has pandas, pyarrow and s3fs")
    buffer = pa.BufferOutputStream()
    pa.parquet.write_table(FRAME.to_arrow(), buffer)
    storage.write_bytes(buffer.getvalue().to_pybytes(), "lake/source.parquet")
    paths = [storage.get_full_path(f"lake/{name}.parquet") for name in ("source", "target")]
    options = storage.get_storage_options("pandas") or None
    done = subprocess.run(
        [python, "-c", PANDAS],
        input=json.dumps([*paths, options]),
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["12"]
    assert pl.read_parquet(storage.read_bytes("lake/target.parquet"))["n"].sum() == 12

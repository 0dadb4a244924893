"""The reader: any storage, in a stream, never on a temporary file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from chaos_proxy import Fault, proxied
from fluxforge import parse_segment
from fluxforge.errors import SegmentNotFoundError, StorageError
from fluxforge.etl.readers import NDJSONReader
from fluxforge.storage import LocalStorage
from segments import level2, local, trade, write_segment

KEY = "raw/ready/coinbase/segment.ndjson"


@pytest.fixture(scope="module")
def segment(tmp_path_factory) -> Path:
    """One of a few megabytes: several blocks."""
    frames = [level2("BTC-USD", n, *(p / 8 for p in range(n, n + 200))) for n in range(0, 400, 2)]
    frames += [trade("ETH-USD", 1000 + n, f"t{n}") for n in range(50)]
    return write_segment(local(tmp_path_factory.mktemp("here")), frames)


@pytest.fixture(params=["local", "moto", "radosgw"])
def storage(request, tmp_path, segment):
    if request.param == "local":
        storage = LocalStorage(tmp_path / "root")
    else:
        storage = request.getfixturevalue(request.param).storage("some/prefix")
    storage.create_new_file(segment, KEY)
    return storage


@pytest.fixture
def no_temporary_files(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))


@pytest.mark.usefixtures("no_temporary_files")
def test_any_storage_is_read_in_a_stream(storage, segment):
    assert segment.stat().st_size > 2 << 20
    here = parse_segment(segment)
    there = NDJSONReader(storage).read(KEY)
    assert str(there.balance) == str(here.balance)
    assert there.header.uid == here.header.uid
    for name, table in here.tables.items():
        assert pa.table(there.tables[name]).equals(pa.table(table)), name
    assert len(list(NDJSONReader(storage).stream(KEY, stretch=1 << 20))) > 1, "not whole in memory"


def test_nothing_there_is_named_with_its_storage(storage):
    with pytest.raises(SegmentNotFoundError, match="raw/ready/missing"):
        NDJSONReader(storage).read("raw/ready/missing.ndjson")


def test_a_stream_that_breaks_gives_the_same_rows(moto, segment):
    with proxied(moto.endpoint) as proxy:
        storage = moto.storage(endpoint_url=proxy.endpoint, sleep=lambda _: None)
        storage.create_new_file(segment, KEY)
        proxy.plan("GET", Fault.RESET_DOWN, Fault.FLIP_DOWN)
        balance = NDJSONReader(storage).read(KEY).balance
        assert str(balance) == str(parse_segment(segment).balance)
        assert proxy.planned == 0
        proxy.plan("GET", *[Fault.FLIP_DOWN] * 20)
        with pytest.raises(StorageError, match="not those that were written"):
            NDJSONReader(storage).read(KEY)

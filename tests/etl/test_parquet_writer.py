"""Parts: the same bytes whoever writes them, and readable by all."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus import lines

from fluxforge._native import PARQUET_WRITER, Xxh3
from fluxforge.config import ETLConfig
from fluxforge.errors import StorageError
from fluxforge.etl.orchestrators import CoinbaseSegmentPipeline
from fluxforge.etl.readers import NDJSONReader, parse_segment
from fluxforge.etl.recipe import Recipe
from fluxforge.etl.writers import ParquetWriter
from fluxforge.storage import LocalStorage


def segment(frames: int) -> bytes:
    """A plain segment without the snapshots, which are larger than all the rest."""
    return b"".join(islice(lines(products=3, seed=7), 3, 3 + frames))


SEGMENT = segment(400)
LARGE = segment(3_000)  # some stretches at the smallest budget
RECIPE = Recipe(
    feed="coinbase",
    feed_xxh3="0" * 16,
    numbers="float64",
    timestamp_unit="ns",
    compression="zstd",
    compression_level=None,
    writer="test",
    raw_per_part=10**9,
)


# Over the hashes of all parts. Another value here means another recipe: change its format.
GOLDEN_WRITER = "parquet-rs 60.1.0, zstd 1.5.7"
GOLDEN = {
    "defaults": (RECIPE, "f6acc4e57e27514d"),
    "us": (replace(RECIPE, timestamp_unit="us"), "1a568200e1981a3f"),
    "decimal": (replace(RECIPE, numbers="decimal"), "9397a5b24ecf0414"),
    "zstd 9": (replace(RECIPE, compression_level=9), "548a7497df13f6d0"),
    "snappy": (replace(RECIPE, compression="snappy"), "91813f57294f91fd"),
}


def parts_of(root: Path, raw: bytes = SEGMENT, **settings):
    """Write a segment's parts; return the commit's records of them."""
    storage = LocalStorage(root)
    storage.write_bytes(raw, "raw.ndjson")
    pipeline = CoinbaseSegmentPipeline(storage, output_path="out", settings=ETLConfig(**settings))
    return pipeline.run("raw.ndjson", segment="segment", uid="uid").parts


def decoded(table: pa.Table) -> pa.Table:
    """Strings for codes: a part numbers its values anew."""
    types = [f.type.value_type if pa.types.is_dictionary(f.type) else f.type for f in table.schema]
    return table.cast(pa.schema(list(map(pa.field, table.column_names, types))))


def fingerprint(parts) -> str:
    """One hash over all parts' bytes."""
    digest = Xxh3()
    digest.update("".join(part.xxh3 for part in parts).encode())
    return digest.hexdigest()


def write_all(root: Path, partitions, *, threads: int = 1, recipe: Recipe = RECIPE):
    storage = LocalStorage(root)
    writer = ParquetWriter(storage, output_path="out", recipe=recipe, threads=threads)
    return writer.write(partitions, uid="uid")


@pytest.mark.parametrize("name", GOLDEN)
def test_a_recipe_gives_the_bytes_it_always_gave(tmp_path, name):
    recipe, golden = GOLDEN[name]
    partitions = parse_segment(SEGMENT, numbers=recipe.numbers).partitions
    first = fingerprint(write_all(tmp_path / "a", partitions, recipe=recipe))
    again = parse_segment(SEGMENT, numbers=recipe.numbers).partitions
    assert fingerprint(write_all(tmp_path / "b", again, recipe=recipe)) == first
    assert PARQUET_WRITER == GOLDEN_WRITER
    assert first == golden


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_number_of_threads_does_not_show(tmp_path, threads):
    partitions = parse_segment(SEGMENT).partitions
    expected = fingerprint(write_all(tmp_path / "one", partitions, threads=1))
    assert fingerprint(write_all(tmp_path / "n", partitions, threads=threads)) == expected


def test_another_process_writes_the_same_bytes(tmp_path):
    program = (
        "import sys, json; from pathlib import Path;"
        "from test_parquet_writer import parts_of;"
        "print(json.dumps([p.xxh3 for p in parts_of(Path(sys.argv[1]))]))"
    )
    here = Path(__file__)
    benches = here.parents[2] / "benches"
    program = f"import sys; sys.path[:0] = [{str(here.parent)!r}, {str(benches)!r}]; {program}"
    other = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "other")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(other.stdout) == [part.xxh3 for part in parts_of(tmp_path / "this")]


def test_every_reader_finds_the_rows(tmp_path):
    partitions = parse_segment(SEGMENT).partitions
    for partition, part in zip(partitions, write_all(tmp_path, partitions), strict=True):
        path = tmp_path / part.key("out")
        assert path.stat().st_size == part.bytes
        rows, read = pa.table(partition), pq.ParquetFile(path).read()
        assert read.schema.equals(rows.schema)
        assert decoded(read).equals(decoded(rows))
        assert pl.read_parquet(path, hive_partitioning=False).equals(pl.DataFrame(partition))
        count, first = (
            duckdb.connect()
            .execute(f"SELECT count(*), epoch_ns(min(capture_ts)) FROM read_parquet('{path}')")
            .fetchone()
        )
        assert (count, first) == (part.rows, part.min_capture_ns)


def test_a_part_says_where_it_comes_from_and_readers_can_skip_by_time(tmp_path):
    partitions = parse_segment(SEGMENT).partitions
    part = write_all(tmp_path, partitions)[0]
    footer = pq.ParquetFile(tmp_path / part.key("out")).metadata
    assert footer.metadata[b"fluxforge.segment_uid"] == b"uid"
    assert json.loads(footer.metadata[b"fluxforge.recipe"]) == RECIPE.to_record()
    group = footer.row_group(0)
    columns = {c.path_in_schema: c for c in map(group.column, range(group.num_columns))}
    assert columns["capture_ts"].statistics.has_min_max
    assert "RLE_DICTIONARY" in columns["conn"].encodings
    assert not any("DICTIONARY" in e for e in columns["capture_ts"].encodings)


def test_a_name_that_other_content_has_leads_to_the_long_one(tmp_path):
    partitions = parse_segment(SEGMENT).partitions
    (short,) = write_all(tmp_path, partitions[:1])
    (tmp_path / short.key("out")).write_bytes(b"another content")
    (long,) = write_all(tmp_path, partitions[:1])
    assert long.name == short.name.replace(short.xxh3[:8], short.xxh3)
    assert write_all(tmp_path, partitions[:1]) == (long,)
    (tmp_path / long.key("out")).write_bytes(b"damaged")
    with pytest.raises(StorageError, match="other bytes than its name says"):
        write_all(tmp_path, partitions[:1])


def test_a_segment_beyond_the_memory_budget_is_written_in_stretches(tmp_path):
    whole = parts_of(tmp_path / "whole", LARGE)
    parts = parts_of(tmp_path / "stretches", LARGE, memory_max_mb=2)
    assert len(parts) >= 2 * len(whole)
    for table in ("level2", "ticker", "market_trades"):
        rows = [
            pl.concat(
                pl.read_parquet(tmp_path / where / p.key("out")) for p in of if p.table == table
            ).sort("record", "item")
            for where, of in (("whole", whole), ("stretches", parts))
        ]
        assert rows[0].equals(rows[1])


def test_rejects_beyond_the_memory_budget_leave_in_lists(tmp_path):
    raw = b"".join(b"rubbish %d\n" % n for n in range(30_000))
    storage = LocalStorage(tmp_path)
    storage.write_bytes(raw, "raw.ndjson")
    settings = ETLConfig(memory_max_mb=2)
    pipeline = CoinbaseSegmentPipeline(storage, output_path="out", settings=settings)
    commit = pipeline.run("raw.ndjson", segment="segment", uid="uid")
    assert commit.balance.rejected == 30_000
    lists = [(tmp_path / "out" / name).read_bytes() for name in commit.rejects]
    assert len(lists) > 5
    # As many as fit: what waits in memory is bounded, and no list is a crumb but the last.
    assert all(250_000 <= len(each) < 260_000 for each in lists[:-1])
    assert b"".join(lists) == parse_segment(raw).rejects_ndjson()
    assert pipeline.run("raw.ndjson", segment="segment", uid="uid").rejects == commit.rejects


@pytest.mark.parametrize("piece", [1, 7_001, 64 << 10, 1 << 20])
def test_stretches_end_where_the_segment_says_not_where_pieces_do(tmp_path, piece):
    raw = SEGMENT[:60_000] if piece == 1 else SEGMENT

    class Pieces(LocalStorage):
        def read_chunks(self, path, _chunk_size=0):
            return super().read_chunks(path, piece)

    def stretches(storage):
        found = []
        stream = NDJSONReader(storage).stream("raw.ndjson", stretch=20_000)
        try:
            while True:
                found.append([(p.table, p.product_id, p.num_rows) for p in next(stream).partitions])
        except StopIteration as end:
            found.append([(p.table, p.product_id, p.num_rows) for p in end.value.partitions])
            return found, end.value.balance.rows

    LocalStorage(tmp_path).write_bytes(raw, "raw.ndjson")
    found, rows = stretches(Pieces(tmp_path))
    expected = parse_segment(raw)
    assert rows == expected.balance.rows
    # A large piece ends several stretches at once.
    flat = [each for stretch in found for each in stretch]
    assert flat == [each for stretch in stretches(LocalStorage(tmp_path))[0] for each in stretch]
    assert sum(count for *_, count in flat) == sum(rows.values())
    assert len(flat) > len(expected.partitions)

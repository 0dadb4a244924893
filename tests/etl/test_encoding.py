"""Partitions are encoded a few at a time, and each comes out once, whatever the threads."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fluxforge.etl.writers.encoding import encode_early


@dataclass(frozen=True)
class Rows:
    """As much of a partition as matters here."""

    name: str
    num_rows: int


PARTITIONS = [Rows(f"p{n}", rows) for n, rows in enumerate([10, 300_000, 20, 40_000, 70_000, 5])]


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 6])
def test_each_partition_is_encoded_once(threads, count):
    def encode(some):
        return [(partition.name.encode(), "hash") for partition in some]

    found = list(encode_early(PARTITIONS[:count], encode, threads=threads))
    assert sorted(found) == [(n, (f"p{n}".encode(), "hash")) for n in range(count)]


def test_the_longest_come_first_and_the_small_ones_together():
    calls = []

    def encode(some):
        calls.append([partition.name for partition in some])
        return [(b"", "")] * len(some)

    early = encode_early(PARTITIONS, encode, threads=1)
    next(early)
    assert calls == [["p1"]], "the others wait until they are asked for"
    list(early)
    assert calls == [["p1"], ["p4"], ["p0", "p2", "p3", "p5"]]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_is_the_callers(threads):
    def encode(_some):
        raise ValueError("too much for a page")

    with pytest.raises(ValueError, match="too much for a page"):
        list(encode_early(PARTITIONS, encode, threads=threads))

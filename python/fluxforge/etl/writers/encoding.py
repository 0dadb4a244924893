"""Encodes partitions a few at a time, so that the first are stored while the next are encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from fluxforge._native import Partition

Encoded = tuple[bytes, str]
"""A Parquet file and its hash."""

# Some milliseconds of work: little enough to be stored early, and enough that small partitions
# share what a call costs.
_ROWS_AT_ONCE = 1 << 16


def encode_early(
    partitions: Sequence[Partition],
    encode: Callable[[Sequence[Partition]], Sequence[Encoded]],
    *,
    threads: int,
) -> Iterator[tuple[int, Encoded]]:
    """Encode partitions, each when it is asked for, or a little earlier.

    Args:
        partitions: In any order.
        encode: Encodes some, one after the other; called from that many threads.
        threads: With one, nothing is encoded but while the next one is asked for.

    Yields:
        Index and file of each partition, in the order in which they are ready.
    """
    bundles = _bundles(partitions)
    if threads == 1 or len(bundles) == 1:
        for bundle in bundles:
            yield from zip(bundle, encode([partitions[index] for index in bundle]), strict=True)
        return
    with ThreadPoolExecutor(threads, "encode") as pool:
        coming: dict[Future[Sequence[Encoded]], list[int]] = {}
        while bundles or coming:
            # One more than there are threads: none of them waits for who stores.
            while bundles and len(coming) <= threads:
                bundle = bundles.pop(0)
                some = [partitions[index] for index in bundle]
                coming[pool.submit(encode, some)] = bundle
            for done in wait(coming, return_when=FIRST_COMPLETED).done:
                yield from zip(coming.pop(done), done.result(), strict=True)


def _bundles(partitions: Sequence[Partition]) -> list[list[int]]:
    """Indices of partitions that go together, the longest first: none should be waited for."""
    bundles: list[list[int]] = []
    room = 0
    for index in sorted(range(len(partitions)), key=lambda index: -partitions[index].num_rows):
        if room <= 0:
            bundles.append([])
            room = _ROWS_AT_ONCE
        bundles[-1].append(index)
        room -= partitions[index].num_rows
    return [sorted(bundle) for bundle in bundles]

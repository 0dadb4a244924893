"""One segment's way into the lake: parse → write, with coverage → the commit to publish.

Nothing here is visible to a reader of the lake: parts count only once the returned commit is
published. Run twice, by one worker or by two, it writes the same parts under the same names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

from fluxforge._native import PARQUET_WRITER, ConnectionSequence, ParsedSegment, Partition, Xxh3
from fluxforge._native import Balance as NativeBalance
from fluxforge.config import ETLConfig
from fluxforge.etl.coverage import Deliveries, coverage_partitions, coverage_rows, read_event
from fluxforge.etl.readers import NDJSONReader
from fluxforge.etl.recipe import Recipe
from fluxforge.etl.writers import ParquetWriter, RejectsWriter
from fluxforge.feeds import load_feed
from fluxforge.ledger import Balance, Commit, ConnectionSpan, Part, Raw, SequenceGap
from fluxforge.storage.base import StorageBackend

# Rows take less than their raw; builders that grow, and parts beside their rows, double that.
_MEMORY_PER_RAW = 2


class CoinbaseSegmentPipeline:
    """Turns Coinbase segments into parts and says what to commit.

    Args:
        storage: Where the segments lie.
        storage_output: Where the lake lies; the same storage if not given.
        output_path: Key of the source's directory in the lake, as ``processed/coinbase``.
        settings: Numbers, timestamps and compression.
        worker: Name that goes into commits.
        feed: Name of the feed's description.
        now: Clock for the commit's note of when.
    """

    def __init__(
        self,
        storage: StorageBackend,
        *,
        output_path: str,
        storage_output: StorageBackend | None = None,
        settings: ETLConfig | None = None,
        worker: str = "local",
        feed: str = "coinbase",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        settings = settings or ETLConfig()
        self._output = storage_output or storage
        self._output_path = output_path
        self._worker = worker
        self._feed = feed
        self._book_channel = load_feed(feed).connection.level2_channel
        self._now = now
        self._recipe = Recipe(
            feed=feed,
            feed_xxh3=_xxh3(load_feed(feed).spec),
            numbers=settings.numbers,
            timestamp_unit=settings.timestamp_unit,
            compression=settings.compression,
            compression_level=settings.compression_level,
            writer=PARQUET_WRITER,
            raw_per_part=settings.memory_max_mb * 10**6 // _MEMORY_PER_RAW,
        )
        threads = max(1, _cpus() // settings.workers)
        self._reader = NDJSONReader(storage, feed, numbers=settings.numbers, threads=threads)
        self._writer = ParquetWriter(
            self._output, output_path=output_path, recipe=self._recipe, threads=threads
        )

    def run(self, key: str, *, segment: str, uid: str) -> Commit:
        """Parse the segment at a key and write its parts and rejects.

        Args:
            key: Where the segment lies.
            segment: Its label.
            uid: Its identity.

        Returns:
            The commit that makes the parts count, not yet published.
        """
        rejects = RejectsWriter(
            self._output, output_path=self._output_path, segment=segment, uid=uid
        )
        parts, parsed = self._write_parts(key, uid, rejects)
        return Commit(
            segment=segment,
            uid=uid,
            source=self._feed,
            worker=self._worker,
            committed_at=f"{self._now():%Y-%m-%dT%H:%M:%S.%fZ}",
            recipe=self._recipe.to_record(),
            raw=Raw(
                file=key.rpartition("/")[2],
                bytes=parsed.raw_bytes,
                xxh3=parsed.raw_xxh3,
                header=parsed.header is not None,
                sealed=parsed.sealed,
                verified=parsed.verified,
            ),
            parts=tuple(parts),
            balance=_balance(parsed.balance),
            connections=tuple(_span(connection) for connection in parsed.connections),
            rejects=tuple(rejects.names),
        )

    def _write_parts(
        self, key: str, uid: str, rejects: RejectsWriter
    ) -> tuple[list[Part], ParsedSegment]:
        parts: list[Part] = []
        deliveries = Deliveries(load_feed(self._feed))
        stretches = self._reader.stream(key, stretch=self._recipe.raw_per_part)
        while True:
            try:
                stretch = next(stretches)
            except StopIteration as end:
                parsed: ParsedSegment = end.value
                rejects.write(parsed.rejects_ndjson())
                deliveries.add(parsed.partitions)
                last = [*parsed.partitions, *self._coverage(parsed, deliveries)]
                return [*parts, *self._writer.write(last, uid=uid)], parsed
            for lines in stretch.rejects:
                rejects.write(lines)
            deliveries.add(stretch.partitions)
            parts += self._writer.write(stretch.partitions, uid=uid)

    def _coverage(self, parsed: ParsedSegment, deliveries: Deliveries) -> list[Partition]:
        events = (event for line in parsed.events if (event := read_event(line)) is not None)
        return coverage_partitions(
            coverage_rows(
                parsed.connections, events, deliveries.found, book_channel=self._book_channel
            )
        )


def _balance(balance: NativeBalance) -> Balance:
    return Balance(
        frames=balance.frames,
        parsed=balance.parsed,
        ignored=balance.ignored,
        rejected=balance.rejected,
        events=balance.events,
        rows=balance.rows,
        inexact=balance.inexact,
        unknown_fields=balance.unknown_fields,
        missing_fields=balance.missing_fields,
        null_fields=balance.null_fields,
        retyped_fields=balance.retyped_fields,
    )


def _span(connection: ConnectionSequence) -> ConnectionSpan:
    return ConnectionSpan(
        conn=connection.conn,
        frames=connection.frames,
        first_sequence=connection.first_sequence,
        last_sequence=connection.last_sequence,
        first_capture_ns=connection.first_capture_ns,
        last_capture_ns=connection.last_capture_ns,
        missing=connection.missing,
        gaps=tuple(
            SequenceGap(
                expected=gap.expected,
                seen=gap.seen,
                record=gap.record,
                capture_ns=gap.capture_ns,
            )
            for gap in connection.gaps
        ),
    )


def _xxh3(data: bytes) -> str:
    digest = Xxh3()
    digest.update(data)
    return digest.hexdigest()


def _cpus() -> int:
    """CPUs that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # only Linux says it
    return len(affinity(0)) if affinity else os.cpu_count() or 1

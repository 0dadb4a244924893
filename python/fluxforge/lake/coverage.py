"""What the lake holds and lacks, over all segments."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import cast

from fluxforge.config import FluxForgeConfig
from fluxforge.feeds import load_feed
from fluxforge.lake.joining import join
from fluxforge.lake.scanning import open_lake
from fluxforge.ledger import Commit
from fluxforge.ledger.coverage import COLUMNS, COVERAGE, CoverageRow, State
from fluxforge.storage.base import StorageBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What is known of a lake's completeness, joined over its segments.

    Attributes:
        rows: Spans in the order of their start. A row without product speaks of every product on
            its connection.
        carried: By connection, the channels and products that were delivered or asked for on it.
        start_ns: Capture time of the first record; None for an empty lake.
        end_ns: Capture time of the last one.
        files: Names of the segments' files that are in the lake.
    """

    rows: tuple[CoverageRow, ...]
    carried: Mapping[str, frozenset[tuple[str, str]]]
    start_ns: int | None
    end_ns: int | None
    files: frozenset[str]

    def holes(
        self,
        *,
        products: Collection[str] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> list[CoverageRow]:
        """Return what is not live: gaps, suspect books, disconnections, refusals.

        Args:
            products: What touches these only; None: all.
            start_ns: What does not end before; nanoseconds since the epoch.
            end_ns: What begins before.
        """
        return [
            row
            for row in self.rows
            if row.state != "live"
            and (start_ns is None or row.end_ns is None or row.end_ns >= start_ns)
            and (end_ns is None or row.start_ns < end_ns)
            and (products is None or self._touches(row, products))
        ]

    def _touches(self, row: CoverageRow, products: Collection[str]) -> bool:
        if row.product_id is not None:
            return row.product_id in products
        carried = self.carried.get(row.conn)
        return not carried or any(product in products for _, product in carried)


def read_coverage(
    source: str | PathLike[str] | FluxForgeConfig, *, feed: str = "coinbase"
) -> Coverage:
    """Read a lake's coverage and join it over segments and connections.

    Args:
        source: The data directory (local path), or a configuration for anything else.
        feed: The feed whose lake to read.

    Raises:
        StorageError: The storage refuses, or does not answer.
    """
    storage, output_path, ledger = open_lake(source, feed)
    segments, files = [], set()
    for commit in ledger.commits():  # in the order in which their writer wrote them
        files.add(commit.raw.file)
        parts = [part.key(output_path) for part in commit.parts if part.table == COVERAGE]
        rows_of_segment = [row for key in parts for row in _read(storage, key)]
        segments.append(rows_of_segment or list(_from_commit(commit)))
    rows, carried = join(segments, book_channel=load_feed(feed).connection.level2_channel)
    recorded = [row for segment in segments for row in segment if row.product_id is None]
    return Coverage(
        rows=tuple(rows),
        carried=carried,
        start_ns=min((row.start_ns for row in recorded), default=None),
        end_ns=max((row.end_ns or row.start_ns for row in recorded), default=None),
        files=frozenset(files),
    )


def _from_commit(commit: Commit) -> Iterator[CoverageRow]:
    """What a commit from before there was coverage knows: its connections' numbers."""
    for span in commit.connections:
        yield CoverageRow(
            conn=span.conn,
            start_ns=span.first_capture_ns,
            end_ns=span.last_capture_ns,
            state="live",
            first_sequence=span.first_sequence,
            last_sequence=span.last_sequence,
        )
        for gap in span.gaps:
            yield CoverageRow(
                conn=span.conn,
                start_ns=gap.capture_ns,
                end_ns=gap.capture_ns,
                state="gap",
                first_sequence=gap.expected,
                last_sequence=gap.seen - 1,
                missing=gap.seen - gap.expected,
                reason="sequence",
            )


def _read(storage: StorageBackend, key: str) -> Iterator[CoverageRow]:
    import pyarrow as pa  # noqa: PLC0415 - imported when used
    import pyarrow.parquet as pq  # noqa: PLC0415 - imported when used

    table = pq.ParquetFile(pa.BufferReader(storage.read_bytes(key))).read()
    columns = {}
    for name, kind, _ in COLUMNS:
        column = table[name]
        if kind == "timestamp":  # whatever unit the lake keeps
            column = column.cast(pa.timestamp("ns", "UTC")).cast(pa.int64())
        columns[name] = column.to_pylist()
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        yield CoverageRow(
            conn=row["conn"],
            channel=row["channel"],
            product_id=row["product_id"],
            start_ns=row["start_ts"],
            end_ns=row["end_ts"],
            state=cast("State", row["state"]),
            first_sequence=row["first_sequence"],
            last_sequence=row["last_sequence"],
            missing=row["missing"],
            reason=row["reason"],
        )

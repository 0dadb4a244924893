"""The recipe: everything beside the raw bytes that determines the bytes of the parts.

Two workers with the same recipe write the same files, so whoever wins, the lake is the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import orjson

RECIPE_FORMAT = 3

ROWS_PER_GROUP = 1 << 20
"""Rows in a Parquet row group; fixed, as it shapes the bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How segments become parts.

    Attributes:
        feed: Name of the feed's description.
        feed_xxh3: XXH3-64 of that description, 16 hex digits.
        numbers: How decimal strings are stored.
        timestamp_unit: Resolution of timestamps in the parts.
        compression: Parquet codec.
        compression_level: Its level, None for the codec's default.
        writer: Parquet library and version.
        raw_per_part: Raw bytes of a segment after which its partitions' parts end and new ones
            begin; shapes the parts of segments that are larger.
        rows_per_group: Rows in a row group.
    """

    feed: str
    feed_xxh3: str
    numbers: Literal["float64", "decimal"]
    timestamp_unit: Literal["ns", "us"]
    compression: str
    compression_level: int | None
    writer: str
    raw_per_part: int
    rows_per_group: int = ROWS_PER_GROUP

    def to_record(self) -> dict[str, Any]:
        """Return the recipe as a commit and a part's footer hold it."""
        return {"format": RECIPE_FORMAT, **asdict(self)}

    def to_json(self) -> bytes:
        """Serialise, the same bytes for the same recipe."""
        return orjson.dumps(self.to_record(), option=orjson.OPT_SORT_KEYS)

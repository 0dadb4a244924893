"""What lies beside a claim while its owner works: a count that moves, and what it is doing."""

from __future__ import annotations

from typing import Any, Literal

import orjson

Doing = Literal["parsing", "stopping"]


def beat(count: int, what: Doing) -> bytes:
    """Write one: whoever sees it unchanged for the lease takes its owner for gone."""
    return orjson.dumps({"beats": count, "doing": what})


def doing(data: bytes) -> str | None:
    """Read what an owner was doing when it was last heard of; None where it did not say."""
    try:
        record: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return record.get("doing") if isinstance(record, dict) else None

"""Hive partition directories: any value becomes one harmless path component and comes back.

Everything outside a small safe set is percent-escaped as UTF-8, ``.`` included, so no value can
climb, hide or end in a dot. pyarrow, polars and duckdb undo the escapes when they read.
"""

from __future__ import annotations

from datetime import date as calendar_date
from urllib.parse import quote

from fluxforge.errors import InvalidKeyError
from fluxforge.storage.keys import MAX_COMPONENT_BYTES

_NULLS = ("", "__HIVE_DEFAULT_PARTITION__")  # what readers take for null, escaped or not


def hive_escape(value: str) -> str:
    """Escape a value for ``name=value``; letters, digits, ``-`` and ``_`` stay as they are.

    Raises:
        InvalidKeyError: No directory can carry the value: readers would take it for null, or it
            is no valid Unicode.
    """
    if value in _NULLS:
        raise InvalidKeyError(f"{value!r} cannot be a Hive partition: readers take it for null")
    try:
        escaped = quote(value, safe="", encoding="utf-8", errors="strict")
    except UnicodeEncodeError as error:
        raise InvalidKeyError(f"{value!a} is not valid Unicode") from error
    # quote() holds these two for safe.
    return escaped.replace(".", "%2E").replace("~", "%7E")


def partition_path(table: str, product_id: str | None, date: str) -> str:
    """Return the key of a partition's directory.

    Args:
        table: The table's key, e.g. ``processed/coinbase/level2``.
        product_id: The product, any text; None for tables partitioned by date alone.
        date: The UTC day of capture, ``YYYY-MM-DD``.

    Raises:
        InvalidKeyError: The escaped product_id does not fit one component (244 bytes), or the
            date is none.
    """
    try:
        valid = calendar_date.fromisoformat(date).isoformat() == date
    except ValueError:
        valid = False
    if not valid:
        raise InvalidKeyError(f"a partition's date is YYYY-MM-DD, not {ascii(date)[:40]}")
    if product_id is None:
        return f"{table}/date={date}"
    component = f"product_id={hive_escape(product_id)}"
    if len(component) > MAX_COMPONENT_BYTES:
        raise InvalidKeyError(
            f"a product_id of {len(product_id)} characters is too long for a directory's name: "
            f"{product_id[:40]!a}…"
        )
    return f"{table}/{component}/date={date}"

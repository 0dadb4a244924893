"""What the models refuse, told in one line per problem: place, key, what would be right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fluxforge.config.models import OverrideError
from fluxforge.config.schema import is_secret

Place = Callable[[str], str | None]
"""Tells which place set a key, None if none did."""

_LONGEST_VALUE = 60


def told(error: ValidationError, place: Place, section: str = "") -> Iterator[str]:
    """Yield one line per problem. Values are quoted, those of secrets never."""
    for detail in error.errors(include_url=False):
        nested = detail.get("ctx", {}).get("error")
        if isinstance(nested, OverrideError):
            yield from told(nested.inner, place, nested.section)
            continue
        names = [part for part in detail["loc"] if isinstance(part, str)]
        key = ".".join([section, *names] if section else names)
        where = place(key) or _inherited(key, section, place)
        index = "".join(f"[{part}]" for part in detail["loc"] if isinstance(part, int))
        line = f"{key}{index} {_what(detail, secret=is_secret(key))}"
        yield f"{where}: {line}" if where else line


def _inherited(key: str, section: str, place: Place) -> str | None:
    """An override may fail for a value that it took over from ``storage``."""
    return place(f"storage{key.removeprefix(section)}") if section else None


def _what(detail: ErrorDetails, *, secret: bool) -> str:
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    said = re.sub(r"^Input should be", "must be", detail["msg"])
    match detail["type"]:
        case "string_type":
            said += " (quote it)"
        case "tuple_type":
            said = "must be a list, like [one, two]"
    return said if secret else said + _not_this(detail["input"])


def _not_this(value: Any) -> str:
    if isinstance(value, str | int | float | bool) and len(repr(value)) <= _LONGEST_VALUE:
        return f", not {value!r}"
    return ""

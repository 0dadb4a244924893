"""What a key may be. The one gate that keeps every object inside the storage's root.

The rules are the same on every platform and backend, so that a lake can be copied from one to
another: what Windows would read as a drive or a separator is refused on Linux too.
"""

from __future__ import annotations

import re
import unicodedata

from fluxforge.errors import InvalidKeyError

MAX_COMPONENT_BYTES = 255
MAX_KEY_BYTES = 1024
TEMP_PREFIX = ".fluxforge-tmp-"
"""Begins the name of a file that is not whole yet. Listings never show it."""

_DRIVE = re.compile(r"[A-Za-z]:")


def check_key(key: str) -> str:
    """Return the key of an object unchanged, or raise InvalidKeyError saying why not."""
    if reason := _fault(key):
        raise InvalidKeyError(
            f"invalid key {_shown(key)}: {reason}; a key is a relative path like raw/ready/x.ndjson"
        )
    return key


def check_directory(path: str) -> str:
    """Return a directory's key without trailing slash; "" is the root."""
    path = path.removesuffix("/") if path != "/" else path
    return check_key(path) if path else path


def is_valid_key(key: str) -> bool:
    """Say whether ``check_key`` accepts it."""
    return _fault(key) is None


def _fault(key: str) -> str | None:
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    faults = (
        (not key, "it is empty"),
        (key.startswith("/"), "it is absolute"),
        (_DRIVE.match(key), "it names a drive"),
        ("\\" in key, "it holds a backslash"),
        (
            # What is printable holds none, and is nearly always what comes.
            not key.isprintable() and any(unicodedata.category(c) == "Cc" for c in key),
            "it holds a control character",
        ),
        (len(encoded) > MAX_KEY_BYTES, f"it is longer than {MAX_KEY_BYTES} bytes"),
    )
    of_key = (reason for wrong, reason in faults if wrong)
    return next(of_key, None) or next(filter(None, map(_component_fault, key.split("/"))), None)


def _component_fault(component: str) -> str | None:
    if component == "":
        return "it has an empty component"
    if component in {".", ".."}:
        return f"it has a component {component!r}"
    if component.startswith(TEMP_PREFIX):
        return f"{TEMP_PREFIX!r} begins the names of unfinished files"
    if len(component.encode()) > MAX_COMPONENT_BYTES:
        return f"a component is longer than {MAX_COMPONENT_BYTES} bytes"
    return None


def _shown(key: str) -> str:
    """Quote a hostile key for a message: no control characters, no ten kilobytes."""
    limit = 80
    return ascii(key) if len(key) <= limit else f"{key[:limit]!a}…"

"""Moments and durations, as people type and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_AGO = re.compile(r"(\d+)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_moment(text: str, *, now: datetime) -> int:
    """Read ``2025-12-03``, ``2025-12-03T14:00`` (UTC unless it names a zone) or ``2h`` (ago).

    Returns:
        Nanoseconds since the epoch.

    Raises:
        BadParameter: It is none of these.
    """
    if ago := _AGO.fullmatch(text.strip()):
        try:
            moment = now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
        except OverflowError:
            raise typer.BadParameter(f"{text} is further back than time goes") from None
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise typer.BadParameter(
                f"{text!r} is no time: use 2025-12-03T14:00 (UTC), or 30s, 10m, 2h, 7d ago"
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def exactly(ns: int) -> str:
    """Say when, to the nanosecond, as raw has it."""
    seconds, rest = divmod(ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def readably(ns: int) -> str:
    """Say when, to the millisecond."""
    return f"{exactly(ns)[:-7].replace('T', ' ')}Z"


def lasting(ns: int) -> str:
    """Say how long: ``12 ms``, ``3.4 s``, ``2 h 5 min``."""
    seconds = ns / 10**9
    if seconds < 1:
        return f"{ns / 10**6:.0f} ms"
    if seconds < 60:  # noqa: PLR2004 - of a minute
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:  # noqa: PLR2004 - of an hour
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"

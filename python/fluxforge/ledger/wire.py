"""Where a venue's wire and the feed's description of it drift apart, in words."""

from __future__ import annotations

from fluxforge.ledger.commit import Balance

_SHOWN = 6


def describe_wire(balance: Balance) -> str:
    """Say which fields were not as the feed's description says; empty if all were."""
    found = [
        # Names come from the wire: as literals, they cannot forge a line of the log.
        f"{channel}: {path!r} {what} ({count:,} times)"
        for what, counts in (
            ("is new", balance.unknown_fields),
            ("is missing", balance.missing_fields),
            ("is null", balance.null_fields),
            ("has another type", balance.retyped_fields),
        )
        for channel, of_channel in counts.items()
        for path, count in of_channel.items()
    ]
    if len(found) > _SHOWN:
        found[_SHOWN:] = [f"{len(found) - _SHOWN} more in the commit"]
    return ", ".join(found)

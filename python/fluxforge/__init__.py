"""FluxForge: market-data capture that proves what it has.

Importing this package is cheap: what needs Arrow or a network is imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fluxforge.etl.readers import parse_segment
    from fluxforge.lake import scan

__all__ = ["__version__", "parse_segment", "scan"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("fluxforge")
    if name == "parse_segment":
        from fluxforge.etl.readers import parse_segment  # noqa: PLC0415

        return parse_segment
    if name == "scan":
        from fluxforge.lake import scan  # noqa: PLC0415

        return scan
    raise AttributeError(f"module 'fluxforge' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

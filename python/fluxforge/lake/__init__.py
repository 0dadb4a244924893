"""Reading what is committed."""

from __future__ import annotations

from fluxforge.lake.scanning import scan

__all__ = ["scan"]

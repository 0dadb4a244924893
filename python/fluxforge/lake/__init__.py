"""Reading what is committed."""

from __future__ import annotations

from fluxforge.lake.scan import scan

__all__ = ["scan"]

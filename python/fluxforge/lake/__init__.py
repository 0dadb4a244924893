"""Reading what is committed."""

from __future__ import annotations

from fluxforge.lake.coverage import Coverage, read_coverage
from fluxforge.lake.scanning import scan

__all__ = ["Coverage", "read_coverage", "scan"]

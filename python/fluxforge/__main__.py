"""``python -m fluxforge`` is ``fluxforge``."""

from __future__ import annotations

from fluxforge.cli import main

if __name__ == "__main__":
    main()

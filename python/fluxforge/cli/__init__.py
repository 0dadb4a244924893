"""The command line: ``fluxforge``, ``fluxforge-ingest``, ``fluxforge-etl``.

Exit codes: 0 well; 1 ran, but something failed or is damaged; 2 usage or configuration; 130 a
second Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


def main() -> None:
    """Run ``fluxforge``."""
    from fluxforge.cli.app import app  # noqa: PLC0415 - importing this package stays cheap

    _run(app)


def main_ingest() -> None:
    """Run ``fluxforge-ingest``."""
    from fluxforge.cli.app import ingest_app  # noqa: PLC0415

    _run(ingest_app)


def main_etl() -> None:
    """Run ``fluxforge-etl``."""
    from fluxforge.cli.app import etl_app  # noqa: PLC0415

    _run(etl_app)


def _run(app: Callable[[], None]) -> None:
    """Run an app; what FluxForge raises on purpose becomes one line and an exit code."""
    from fluxforge.errors import FluxForgeError  # noqa: PLC0415

    try:
        app()
    except FluxForgeError as error:
        print(f"fluxforge: {error}", file=sys.stderr)  # noqa: T201 - the command line speaks here
        sys.exit(error.exit_code)

"""The command line: ``fluxforge``, ``fluxforge-ingest``, ``fluxforge-etl``.

Exit codes: 0 well; 1 ran, but something failed or is damaged; 2 usage or configuration; 130 a
second Ctrl-C.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run ``fluxforge``."""
    _run("app")


def main_ingest() -> None:
    """Run ``fluxforge-ingest``."""
    _run("ingest_app")


def main_etl() -> None:
    """Run ``fluxforge-etl``."""
    _run("etl_app")


def _run(app: str) -> None:
    """Run an app; what FluxForge raises on purpose becomes one line and an exit code."""
    try:
        # Imported here, so that importing this package stays cheap and a Ctrl-C meanwhile quiet.
        from fluxforge.cli import app as apps  # noqa: PLC0415
        from fluxforge.errors import FluxForgeError  # noqa: PLC0415

        try:
            getattr(apps, app)()
        except FluxForgeError as error:
            print(f"fluxforge: {error}", file=sys.stderr)  # noqa: T201 - the command line speaks
            sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)

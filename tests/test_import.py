"""``import fluxforge`` is cheap."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("pyarrow", "polars", "boto3", "botocore", "websockets", "pydantic", "duckdb", "typer")


def test_importing_loads_nothing_heavy():
    code = f"import sys, fluxforge; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


def test_reading_a_segment_loads_no_arrow_library():
    code = (
        "import sys, fluxforge; parsed = fluxforge.parse_segment(b''); "
        f"print(*[m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""

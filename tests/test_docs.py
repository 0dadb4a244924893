"""What the documents say is true: tests they name exist, examples run, links lead somewhere."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from processes import clean_environment, simulator, wait_until

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_proof_named_in_the_guarantees_exists():
    page = (ROOT / "docs" / "guarantees.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|")]
    named = {name for row in rows for name in re.findall(r"`([a-z0-9_:]+)`", row.split("|")[-2])}
    sources = [
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "rust").rglob("*.rs"),
    ]
    text = "\n".join(path.read_text() for path in sources)
    assert len(named) > 30
    for name in sorted(named):
        if "::" in name:  # a Rust module whose tests are the proof
            module = ROOT / "rust/fluxforge-core/src" / f"{name.replace('::', '/')}.rs"
            assert "#[test]" in module.read_text() or "proptest!" in module.read_text(), name
        else:
            assert re.search(rf"(def|fn) {name}\b", text), name


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A directory with a lake in ./data, recorded and turned into Parquet by the examples."""
    home = tmp_path_factory.mktemp("home")
    with simulator("--products", "BTC-USD,ETH-USD", journal=home / "journal.ndjson") as (url, _):
        recorder = example("run_ingestion.py", home, url)
        wait_until(lambda: list(home.glob("data/raw/active/coinbase/*.ndjson")), what=lambda: "raw")
        wait_until(
            lambda: sum(p.stat().st_size for p in home.glob("data/raw/active/*/*")) > 100_000,
            what=lambda: "100 kB of raw",
        )
        assert "segments sealed" in finish(recorder)
    watcher = example("run_etl_watcher.py", home, url)
    wait_until(lambda: list(home.glob("data/raw/archive/coinbase/*/*")), what=lambda: "an archive")
    finish(watcher)
    return home


def example(name: str, home: Path, url: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / name)],
        cwd=home,
        env=clean_environment() | {"FLUXFORGE__COINBASE__WS_URL": url},
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return output


def test_the_examples_record_and_turn_into_parquet(home):
    assert list(
        home.glob("data/processed/coinbase/level2/product_id=BTC-USD/date=*/part_*.parquet")
    )


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_python_in_the_documents_runs(page, home):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        done = subprocess.run(
            [sys.executable, "-c", block],
            cwd=home,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_the_example_of_a_users_own_client_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "test_your_own_client.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("where", ["local", "moto", "radosgw"])
def test_the_six_examples_of_storage_run_on_disk_and_on_s3(tmp_path, request, where):
    environment = clean_environment()
    if where != "local":
        server = request.getfixturevalue(where)
        settings = server.config(f"{server.bucket()}/try")
        environment |= {
            "FLUXFORGE__STORAGE__BACKEND": "s3",
            "FLUXFORGE__STORAGE__BASE_DIR": settings["base_dir"],
            "FLUXFORGE__INGESTION__WRITER_ID": "example",
            "FLUXFORGE__INGESTION__SPOOL_DIR": str(tmp_path / "spool"),
        }
        s3 = settings["s3"].items()
        environment |= {f"FLUXFORGE__STORAGE__S3__{key.upper()}": value for key, value in s3}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "s3_storage_examples.py")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "worker-1 won: True - worker-2 won: False" in done.stdout
    assert re.search(r"level2 rows: [1-9]", done.stdout)
    assert (tmp_path / "data").exists() == (where == "local")

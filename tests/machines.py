"""Machines that capture to one S3: each with a spool of its own, which can be lost with it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from fluxforge.storage import S3Storage
from processes import TIMEOUT, clean_environment, run, wait_until

TELLS = Path(__file__).parent / "e2e" / "ship_that_tells.py"


@dataclass(frozen=True)
class Told:
    """One line of what a machine says."""

    at: float
    durable: int
    lag: float


class Machine:
    """A machine's home, and the capture that runs there.

    Args:
        home: Its disk.
        name: The writer's id.
        url: The exchange.
        storage: The `storage` section of its configuration.
        ingestion: More settings.
    """

    def __init__(
        self, home: Path, name: str, *, url: str, storage: dict[str, Any], **ingestion: Any
    ) -> None:
        self.home, self.name = home / name, name
        self.spool = self.home / "spool"
        self.spool.mkdir(parents=True)
        self.config = self.home / "config.yaml"
        settings = {"writer_id": name, "spool_dir": str(self.spool), "min_free_mb": 0}
        sections = {
            "storage": storage,
            "ingestion": settings | ingestion,
            "coinbase": {"ws_url": url, "products": ["BTC-USD"]},
        }
        self.config.write_text(yaml.safe_dump(sections))
        self._lives = 0
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start capture, and wait until it is connected."""
        self._lives += 1
        self._said = self.home / f"said-{self._lives}"
        self._errors = self.home / f"errors-{self._lives}"
        with self._said.open("wb") as said, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, TELLS, self.config],
                cwd=self.home,
                env=clean_environment(),
                stdout=said,
                stderr=errors,
            )
        self.wait_until(self.told)

    def wait_until(self, condition) -> None:
        """Wait for something that happens while this machine runs."""
        wait_until(
            condition,
            what=lambda: f"{self.name}:\n{self._errors.read_text()}",
            alive=lambda: self.process.poll() is None,
        )

    def told(self) -> list[Told]:
        """What it has said in this life."""
        lines = self._said.read_text().split("\n")[:-1]  # what a kill cut short was not said
        return [
            Told(float(at), int(durable), float(lag))
            for at, durable, lag in (line.split(" ") for line in lines)
        ]

    def must_be_there(self) -> int:
        """How many frames were in the storage, by its own words, when it spoke last."""
        told = self.told()
        last = told[-1]
        return max((each.durable for each in told if each.at <= last.at - last.lag), default=0)

    def lose(self) -> None:
        """Kill it, and its disk with it."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.spool)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Stop it cleanly."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(TIMEOUT) == 0, self._errors.read_text()

    def end(self) -> None:
        """Leave nothing running, however a test ended."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """Run a command of fluxforge here."""
        done = run(*command, cwd=self.home, timeout=300)
        assert done.returncode == 0, done.stderr
        return done


def archived_lines(storage: S3Storage) -> Iterator[str]:
    """Every line of every segment that is in the lake."""
    for key in storage.list_files("raw/archive", "*.zst", recursive=True):
        packed = pa.BufferReader(storage.read_bytes(key))
        with pa.CompressedInputStream(packed, "zstd") as lines:
            yield from lines.read().decode().splitlines()

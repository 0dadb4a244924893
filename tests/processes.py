"""Runs the console scripts as a user does: real processes, found beside the interpreter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

TIMEOUT = 60.0


def script(name: str) -> str:
    """Path of an installed console script."""
    path = Path(sys.executable).parent / name
    assert path.exists(), f"{path} is missing: install the package first"
    return str(path)


def clean_environment() -> dict[str, str]:
    """The environment without settings of ours that a developer may have exported."""
    return {k: v for k, v in os.environ.items() if not k.startswith("FLUXFORGE_")}


def run(
    *command: str, cwd: Path, timeout: float = TIMEOUT, **kwargs
) -> subprocess.CompletedProcess:
    """Run a console script to its end."""
    return subprocess.run(
        [script(command[0]), *command[1:]],
        cwd=cwd,
        env=clean_environment() | kwargs.pop("env", {}),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **kwargs,
    )


class Running:
    """A console script in the background; what it prints is read as it comes."""

    def __init__(self, *command: str, cwd: Path) -> None:
        self.process = subprocess.Popen(
            [script(command[0]), *command[1:]],
            cwd=cwd,
            env=clean_environment() | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.lines.extend(iter(lines.readline, ""))

    @property
    def output(self) -> str:
        """Everything printed so far."""
        return "".join(self.lines)

    def wait_for(self, text: str) -> str:
        """Wait until a line with the text was printed; return that line."""
        return wait_until(
            lambda: next((line for line in self.lines if text in line), None),
            what=lambda: f"{text!r} in the output:\n{self.output}",
            alive=lambda: self.process.poll() is None,
        )

    def stop(self, signum: int = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(signum)
        return self.wait()

    def kill(self) -> None:
        """Kill it as the kernel would: nothing is flushed, nobody is told."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait for its end and return the exit code."""
        code = self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        return code


@contextmanager
def running(*command: str, cwd: Path) -> Iterator[Running]:
    """Run a console script in the background for the length of a block."""
    child = Running(*command, cwd=cwd)
    try:
        yield child
    finally:
        if child.process.poll() is None:
            child.kill()


@contextmanager
def simulator(*options: str, journal: Path) -> Iterator[tuple[str, Running]]:
    """Serve the simulated exchange; yield its URL and its process."""
    command = ("fluxforge", "sim", "--port", "0", "--journal", str(journal), *options)
    with running(*command, cwd=journal.parent) as child:
        yield child.wait_for("ws://").split()[0], child


def wait_until(
    condition: Callable[[], object],
    *,
    what: Callable[[], str],
    alive: Callable[[], bool] = lambda: True,
    timeout: float = TIMEOUT,
):
    """Wait for a true value and return it."""
    deadline = time.monotonic() + timeout
    while True:
        last_chance = not alive() or time.monotonic() > deadline
        if value := condition():
            return value
        assert not last_chance, f"waited in vain for {what()}"
        time.sleep(0.02)

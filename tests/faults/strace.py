"""System calls that fail, or kill, at an exact moment: strace as a wrapper around a capture."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from probing import need, need_tools

CALLS = (
    "pread64,write,pwrite64,fsync,fdatasync,rename,renameat2,linkat,unlinkat,ftruncate,flock,close"
)


def need_strace() -> None:
    """Go on if strace may trace here."""
    need_tools(strace="strace")
    need("strace", "-f", "-qq", "-e", "trace=fsync", "true", what="tracing")


def tampering(*faults: str, log: Path) -> list[str]:
    """The command that runs another with such faults.

    A fault is `call:what:when=N`, with N counted in each thread by itself, and only where the call
    is about a file or directory, not a pipe.
    """
    need_strace()
    # A log for each thread, or their calls would interrupt each other's lines.
    command = ["strace", "-ff", "-qq", "-o", str(log), "-e", f"trace={CALLS}"]
    if not any("signal=" in fault for fault in faults):
        # Other calls at full speed; but strace 6.1 then forgets to send its signals.
        command.append("--seccomp-bpf")
    for fault in faults:
        command += ["-e", f"inject={fault}"]
    return command


def only_files_of(root: Path) -> list[str]:
    """Restrict a command to the files in active/, so that the writer's wake-up pipe is spared."""
    now = datetime.now(UTC)
    hours = [(now + timedelta(hours=more)).strftime("%Y%m%dT%H") for more in (0, 1)]
    names = [f"segment_{hour}_{n:05}.ndjson" for hour in hours for n in range(1, 16)]
    paths = [root / "raw/active" / name for name in (".counting", ".opening", *names)]
    return [word for path in paths for word in ("-P", str(path))]


def calls(log: Path) -> str:
    """What all threads called so far, a line each."""
    return "".join(path.read_text() for path in sorted(log.parent.glob(f"{log.name}.*")))

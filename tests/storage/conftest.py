"""Backends for the contract suite: a directory, and S3 as several servers understand it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto import mock_aws

from fluxforge.storage import LocalStorage, S3Storage
from s3_servers import S3Server


@pytest.fixture
def make_s3(moto: S3Server) -> Callable[..., S3Storage]:
    return moto.storage


@pytest.fixture
def moto_in_process() -> Iterator[S3Server]:
    """AWS as boto3 sees it: no endpoint of ours, and the settings that go with that."""
    with mock_aws():
        yield S3Server("moto-in-process", None)


@pytest.fixture(params=["local", "moto", "moto-prefix", "moto-in-process", "radosgw"])
def storage(request: pytest.FixtureRequest) -> Any:
    def server(name: str) -> S3Server:
        return request.getfixturevalue(name)

    match request.param:
        case "local":
            return LocalStorage(request.getfixturevalue("tmp_path") / "root")
        case "moto":
            return server("moto").storage()
        case "moto-prefix":
            return server("moto").storage("some/prefix")
        case "moto-in-process":
            return server("moto_in_process").storage()
        case _:
            return server("radosgw").storage("some/prefix")

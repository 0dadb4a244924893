"""Where credentials come from, on a store that verifies signatures; and where they never show."""

from __future__ import annotations

import logging
import traceback

import pytest

from fluxforge.errors import StorageAccessError, StorageError
from fluxforge.storage import S3Storage
from metadata_endpoint import machine_with_a_role
from s3_servers import ACCESS_KEY, CREDENTIALS, SECRET_KEY

NONE = dict.fromkeys(CREDENTIALS)


@pytest.fixture(autouse=True)
def no_credentials_around(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def writes_and_reads(storage: S3Storage) -> bool:
    return storage.create_new(b"mine", "x") and storage.read_bytes("x") == b"mine"


def test_explicit_credentials(radosgw):
    assert writes_and_reads(radosgw.storage())


def test_credentials_from_the_environment(radosgw, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    assert writes_and_reads(radosgw.storage(**NONE))


def test_credentials_from_a_profile(radosgw, tmp_path, monkeypatch):
    (tmp_path / "credentials").write_text(
        f"[mine]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    assert writes_and_reads(radosgw.storage(**NONE, profile="mine"))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    assert writes_and_reads(radosgw.storage(**NONE))


def test_iam_role_vs_explicit_credentials(radosgw, monkeypatch):
    with machine_with_a_role(AccessKeyId=ACCESS_KEY, SecretAccessKey=SECRET_KEY) as machine:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.url)
        assert writes_and_reads(radosgw.storage(**NONE))
        assert any("security-credentials/the-role" in path for path in machine.asked)
        machine.asked.clear()
        assert writes_and_reads(radosgw.storage())
        assert machine.asked == [], "explicit credentials ask no machine"
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        bucket = radosgw.bucket()
        with pytest.raises(StorageAccessError, match="no usable credentials"):
            radosgw.storage(**NONE, bucket=bucket).create_new(b"", "x")


def test_an_address_from_the_environment_is_treated_as_a_configured_one(radosgw, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", radosgw.endpoint)
    storage = radosgw.storage(endpoint_url=None)
    assert writes_and_reads(storage)
    settings = storage._client.meta.config
    assert settings.request_checksum_calculation == "when_required"
    assert settings.s3["payload_signing_enabled"]


def test_a_session_token_goes_along(moto, monkeypatch, tmp_path):
    def tokens_sent(storage) -> set[str | None]:
        seen = set()
        storage._client.meta.events.register(
            "before-send.s3", lambda request, **_: seen.add(request.headers["x-amz-security-token"])
        )
        assert writes_and_reads(storage)
        return {token.decode() if isinstance(token, bytes) else token for token in seen}

    assert tokens_sent(moto.storage(aws_session_token="explicit")) == {"explicit"}
    (tmp_path / "credentials").write_text(
        f"[mine]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
        "aws_session_token = of-the-profile\n"
    )
    profile = moto.storage(**NONE, profile="mine")
    assert tokens_sent(profile) == {"of-the-profile"}
    assert profile.get_storage_options("pyarrow")["session_token"] == "of-the-profile"
    role = {"AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "Token": "of-the-role"}
    with machine_with_a_role(**role) as machine:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.url)
        assert tokens_sent(moto.storage(**NONE)) == {"of-the-role"}


def test_wrong_credentials_are_refused_and_shown_nowhere(radosgw, caplog):
    secret, token = "a-wrong-secret", "a-wrong-token"
    bucket = radosgw.bucket()
    storages = [
        radosgw.storage(bucket=bucket, aws_secret_access_key=secret, aws_session_token=token),
        radosgw.storage(bucket=bucket, aws_access_key_id="NOBODY", aws_secret_access_key=secret),
    ]
    texts = []
    with caplog.at_level(logging.DEBUG, "fluxforge"):
        for storage in storages:
            with pytest.raises(StorageError) as caught:
                storage.create_new(b"", "x")
            assert "credentials were refused" in str(caught.value)
            assert caught.value.exit_code == 2
            texts += traceback.format_exception(caught.value)
            texts += [repr(storage), str(storage), repr(vars(storage))]
    texts.append(caplog.text)
    for hidden in (secret, token, SECRET_KEY):
        assert hidden not in "".join(texts)

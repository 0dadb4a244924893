"""What only S3 has: lost answers, conflicts, pages, refusals, credentials."""

from __future__ import annotations

import io
import subprocess
import sys
import traceback

import polars as pl
import pyarrow.fs
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from fluxforge.errors import (
    ObjectDamagedError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageError,
)
from fluxforge.storage import S3Storage, s3
from fluxforge.storage.s3_fingerprint import Fingerprint
from s3_servers import SECRET_KEY

ONE_TRY = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
SECRET = "hunter2-hunter2"


@pytest.fixture
def storage(make_s3):
    waits = []
    made = make_s3("prefix", sleep=waits.append)
    made.waits = waits
    return made


@pytest.fixture(autouse=True)
def no_credentials_around(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


class Raw(io.BytesIO):
    def stream(self):
        yield self.read()


def answer(status, code):
    body = f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>".encode()
    return AWSResponse("http://x", status, {"content-type": "application/xml"}, Raw(body))


def moto_s3():
    """What moto's server in this process keeps."""
    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


def intercept(storage, operation, *answers):
    """Give these answers instead of the server's; None lets the request through."""
    queue = list(answers)

    def before_send(request, **_):
        given = queue.pop(0) if queue else None
        return given(request) if callable(given) else given

    storage._client.meta.events.register(f"before-send.s3.{operation}", before_send)


# -- exclusive creation -----------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["create_new", "create_new_file"])
def test_a_lost_answer_does_not_make_the_winner_a_loser(storage, tmp_path, verb):
    def applied_but_lost(request):
        storage._client._endpoint.http_session.send(request)
        raise ReadTimeoutError(endpoint_url=request.url)

    intercept(storage, "PutObject", applied_but_lost)
    source = tmp_path / "source"
    source.write_bytes(b"mine" * 1000)
    content = source.read_bytes() if verb == "create_new" else source
    assert getattr(storage, verb)(content, "x") is True
    assert storage.read_bytes("x") == b"mine" * 1000
    assert getattr(storage, verb)(content, "x") is False  # the same bytes are another's, still


@pytest.mark.parametrize("verb", ["create_new", "create_new_file"])
def test_a_conflict_is_tried_again_and_backs_off(storage, tmp_path, verb):
    conflict = [answer(409, "ConditionalRequestConflict") for _ in range(3)]
    intercept(storage, "PutObject", *conflict)
    source = tmp_path / "source"
    source.write_bytes(b"mine")
    content = source.read_bytes() if verb == "create_new" else source
    assert getattr(storage, verb)(content, "x") is True
    assert storage.read_bytes("x") == b"mine"
    assert len(storage.waits) == 3
    assert storage.waits == sorted(storage.waits)


def test_endless_conflict_is_an_error_not_an_answer(storage):
    intercept(storage, "PutObject", *(answer(409, "ConditionalRequestConflict") for _ in range(99)))
    with pytest.raises(StorageError, match=r"could not create 'x'.*409"):
        storage.create_new(b"", "x")


def test_exclusive_creation_is_one_put_whatever_the_size(storage, tmp_path, monkeypatch):
    monkeypatch.setattr(s3, "_TRANSFER", TransferConfig(5 << 20, multipart_chunksize=5 << 20))
    source = tmp_path / "large"
    source.write_bytes(b"0123456789abcdef" * (11 << 16))
    asked = []
    storage._client.meta.events.register(
        "before-call.s3.*", lambda model, **_: asked.append(model.name)
    )
    assert storage.create_new_file(source, "exclusive") is True
    assert asked == ["PutObject"]
    storage.write_file(source, "ordinary")
    assert "CompleteMultipartUpload" in asked
    assert "CopyObject" not in asked
    assert storage.read_bytes("ordinary") == source.read_bytes()


def test_a_file_too_large_for_one_put_is_refused_beforehand(storage, tmp_path, monkeypatch):
    monkeypatch.setattr(s3, "_LARGEST_SINGLE_PUT", 3)
    source = tmp_path / "large"
    source.write_bytes(b"1234")
    with pytest.raises(StorageError, match="segment_max_mb"):
        storage.create_new_file(source, "x")
    assert not storage.exists("x")


# -- reading ----------------------------------------------------------------------------------


def test_other_bytes_than_were_written_are_noticed(storage):
    storage.write_bytes(b"right", "x")
    stored = moto_s3().buckets[storage._bucket].keys["prefix/x"]
    stored.value = b"wrong"
    with pytest.raises(StorageError, match="not those that were written"):
        storage.read_bytes("x")
    with pytest.raises(StorageError, match="not those that were written"):
        list(storage.read_chunks("x"))


def test_blocks_in_another_order_are_noticed(storage):
    first, second = b"1" * (1 << 20), b"2" * (1 << 20)
    wanted = Fingerprint.of_bytes(first + second).xxh3
    metadata = Fingerprint.of_bytes(second + first).metadata() | {"fluxforge-xxh3": wanted}
    storage._client.put_object(
        Bucket=storage._bucket, Key="prefix/x", Body=second + first, Metadata=metadata
    )
    with pytest.raises(ObjectDamagedError, match="as a whole"):
        storage.read_bytes("x")


def test_an_object_that_was_cut_is_noticed_before_its_first_byte(storage):
    metadata = Fingerprint.of_bytes(b"1" * (1 << 20) + b"2").metadata()
    storage._client.put_object(
        Bucket=storage._bucket, Key="prefix/x", Body=b"1" * (1 << 20), Metadata=metadata
    )
    with pytest.raises(ObjectDamagedError, match="1048576 bytes long"):
        next(storage.read_chunks("x"))


def test_objects_of_others_have_no_hash_and_are_read(storage):
    storage._client.put_object(Bucket=storage._bucket, Key="prefix/x", Body=b"theirs")
    assert storage.read_bytes("x") == b"theirs"


def test_listing_goes_on_after_the_first_page(storage):
    for number in range(7):
        storage.write_bytes(b"", f"d/{number}")
    storage.write_bytes(b"", "d/deep/x")
    asked = []

    def small_pages(params, **_):
        asked.append(params)
        params["MaxKeys"] = 2

    storage._client.meta.events.register("provide-client-params.s3.ListObjectsV2", small_pages)
    assert storage.list_files("d") == [f"d/{number}" for number in range(7)]
    assert len(asked) >= 4
    assert len(storage.list_files(recursive=True)) == 8


def test_more_objects_than_one_page_holds_are_all_listed(storage):
    wanted = [f"d/{number:04}" for number in range(2001)]
    for key in [*wanted, "d/deep/x", "e"]:  # a thousand requests would take half a minute
        moto_s3().put_object(storage._bucket, f"prefix/{key}", b"")
    assert storage.list_files("d") == wanted
    assert storage.list_files("d", "*1") == [key for key in wanted if key.endswith("1")]
    assert len(storage.list_files(recursive=True)) == 2003


def test_the_prefix_is_a_root(make_s3):
    storage = make_s3("a/b")
    storage._client.put_object(Bucket=storage._bucket, Key="a/bc/x", Body=b"")
    storage._client.put_object(Bucket=storage._bucket, Key="a/b/", Body=b"")  # a console's "folder"
    storage._client.put_object(Bucket=storage._bucket, Key="a/b//odd", Body=b"")
    storage.write_bytes(b"", "x")
    assert storage.list_files(recursive=True) == ["x"]
    assert storage.get_full_path("x") == f"s3://{storage._bucket}/a/b/x"
    assert storage.local_path("x") is None


# -- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "operation", "permission"),
    [
        (lambda s: s.write_bytes(b"", "x"), "PutObject", "s3:PutObject"),
        (lambda s: s.create_new(b"", "x"), "PutObject", "s3:PutObject"),
        (lambda s: s.read_bytes("x"), "GetObject", "s3:GetObject"),
        (lambda s: s.exists("x"), "HeadObject", "s3:ListBucket"),
        (lambda s: s.list_files(), "ListObjectsV2", "s3:ListBucket"),
        (lambda s: s.delete("x"), "DeleteObject", "s3:DeleteObject"),
    ],
)
def test_a_refusal_names_the_missing_permission(storage, verb, operation, permission):
    intercept(storage, operation, answer(403, "AccessDenied"))
    with pytest.raises(StorageAccessError, match=permission) as caught:
        verb(storage)
    assert storage._bucket in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "InvalidAccessKeyId", "credentials were refused"),
        (403, "SignatureDoesNotMatch", "credentials were refused"),
        (400, "ExpiredToken", "credentials were refused"),
        (400, "AuthorizationHeaderMalformed", r"set storage\.s3\.region"),
    ],
)
def test_wrong_credentials_and_regions_say_what_to_set(storage, status, code, said):
    intercept(storage, "PutObject", *(answer(status, code) for _ in range(5)))
    with pytest.raises(StorageAccessError, match=said):
        storage.write_bytes(b"", "x")


def test_trouble_at_s3_is_an_error_of_its_own(make_s3):
    storage = make_s3(config=ONE_TRY)
    intercept(storage, "PutObject", answer(503, "SlowDown"))
    with pytest.raises(StorageError, match="S3 answered 503 SlowDown") as caught:
        storage.write_bytes(b"", "x")
    assert not isinstance(caught.value, StorageAccessError)


def test_a_missing_bucket_is_never_taken_for_a_missing_object(moto):
    storage = S3Storage(
        "no-such-bucket",
        endpoint_url=moto.endpoint,
        region="us-east-1",
        aws_access_key_id="AKIA",
        aws_secret_access_key=SECRET,
    )
    for verb in (
        lambda: storage.exists("x"),
        lambda: storage.size("x"),
        lambda: storage.read_bytes("x"),
        storage.list_files,
        lambda: storage.create_new(b"", "x"),
        lambda: storage.delete("x"),
    ):
        with pytest.raises(StorageAccessError, match="no bucket 'no-such-bucket'") as caught:
            verb()
        assert not isinstance(caught.value, ObjectNotFoundError)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_address_that_does_not_answer_is_named():
    storage = S3Storage(
        "bucket",
        endpoint_url="http://127.0.0.1:1",
        aws_access_key_id="AKIA",
        aws_secret_access_key=SECRET,
        config=ONE_TRY,
    )
    with pytest.raises(StorageAccessError, match=r"127\.0\.0\.1:1 did not answer") as caught:
        storage.read_bytes("x")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_no_credentials_say_where_to_put_them(moto):
    storage = S3Storage("bucket", endpoint_url=moto.endpoint)
    with pytest.raises(StorageAccessError, match="aws_access_key_id"):
        storage.read_bytes("x")
    with pytest.raises(StorageAccessError, match="no usable credentials"):
        S3Storage("bucket", profile="nobody").list_files()


# -- credentials for others -------------------------------------------------------------------


def test_secrets_are_in_no_text(storage):
    secret = SECRET_KEY
    assert storage.get_storage_options("pandas")["secret"] == secret
    assert secret not in repr(storage) + str(storage) + repr(vars(storage))


def test_polars_reads_and_writes_with_our_options(storage):
    frame = pl.DataFrame({"n": [1, 2, 3]})
    options = storage.get_storage_options("polars")
    frame.write_parquet(storage.get_full_path("t/a.parquet"), storage_options=options)
    assert storage.list_files("t") == ["t/a.parquet"]
    scanned = pl.scan_parquet(storage.get_full_path("t/a.parquet"), storage_options=options)
    assert scanned.collect().equals(frame)


def test_pyarrow_reads_with_our_options(storage):
    storage.write_bytes(b"hello", "t/x")
    filesystem = pyarrow.fs.S3FileSystem(**storage.get_storage_options("pyarrow"))
    path = storage.get_full_path("t/x").removeprefix("s3://")
    with filesystem.open_input_stream(path) as stream:
        assert stream.read() == b"hello"


def test_options_name_what_is_set_and_nothing_else(tmp_path):
    (tmp_path / "credentials").write_text(
        f"[mine]\naws_access_key_id = AKIA\naws_secret_access_key = {SECRET}\n"
    )
    plain = S3Storage("bucket")
    for library in ("polars", "pandas", "pyarrow", "duckdb"):
        assert plain.get_storage_options(library) == {}
    profile = S3Storage("bucket", profile="mine", endpoint_url="http://127.0.0.1:9000", region="r")
    assert profile.get_storage_options("duckdb") == {
        "key_id": "AKIA",
        "secret": SECRET,
        "region": "r",
        "endpoint": "127.0.0.1:9000",
        "use_ssl": False,
        "url_style": "path",
    }
    assert profile.get_storage_options("pandas") == {
        "key": "AKIA",
        "secret": SECRET,
        "client_kwargs": {"endpoint_url": "http://127.0.0.1:9000", "region_name": "r"},
    }
    with pytest.raises(ValueError, match="polars, pandas, pyarrow, duckdb"):
        plain.get_storage_options("spark")


def test_boto3_is_imported_with_the_first_s3_storage_only():
    code = (
        "import sys, fluxforge.storage as s; assert 'boto3' not in sys.modules\n"
        "s.S3Storage; assert 'boto3' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

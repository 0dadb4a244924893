"""The gate that keeps every object inside the root, by property."""

from __future__ import annotations

import os
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fluxforge.errors import InvalidKeyError
from fluxforge.storage import LocalStorage, S3Storage
from fluxforge.storage.keys import check_key, is_valid_key

# Pieces from which traps are built, beside any text at all.
traps = st.lists(
    st.sampled_from(
        [
            "..",
            ".",
            "/",
            "\\",
            "a",
            "C:",
            "\0",
            "\n",
            "~",
            "%2e%2e",
            "%2f",
            "\uff0e\uff0e",
            "\uff0f",
        ]
    )
).map("".join)
keys = st.one_of(traps, st.text())


@given(keys)
@example("a/../../etc/passwd")
def test_a_valid_key_stays_below_the_root_on_every_platform(key):
    if not is_valid_key(key):
        return
    assert os.path.normpath(f"/anywhere/{key}") == f"/anywhere/{key}"
    assert not set(key) & {"\\", "\0", "\n"}
    assert key[1:2] != ":" or key[0] not in string.ascii_letters


@given(keys)
def test_backends_agree_on_what_a_key_is(key):
    def accepted(path_of) -> bool:
        try:
            path_of(key)
        except InvalidKeyError:
            return False
        return True

    directory = key.removesuffix("/") if key != "/" else key
    expected = directory == "" or is_valid_key(directory)
    assert accepted(LocalStorage("/nowhere").get_full_path) is expected
    assert accepted(S3Storage("bucket").get_full_path) is expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4).map("/".join))
def test_a_valid_key_is_a_file_below_the_root(tmp_path_factory, key):
    if not is_valid_key(key):
        return
    outside = tmp_path_factory.mktemp("property")
    root = outside / "root"
    storage = LocalStorage(root)
    storage.write_bytes(b"x", key)
    assert storage.list_files(recursive=True) == [check_key(key)]
    assert [path.name for path in outside.iterdir()] == ["root"]


@pytest.mark.parametrize("key", ["x" * 10_000, "\x1b[31mred\x07/..", "a\nb"])
def test_a_refusal_never_repeats_ten_kilobytes_or_control_characters(key):
    with pytest.raises(InvalidKeyError) as caught:
        check_key(key)
    assert len(str(caught.value)) < 250
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("server", ["moto", "radosgw"])
def test_a_valid_key_is_one_object_below_the_prefix(request, server):
    server = request.getfixturevalue(server)
    storage = server.storage("a/b")
    bucket = storage._bucket
    server.admin.put_object(Bucket=bucket, Key="a/secret", Body=b"not ours")

    @settings(max_examples=60, deadline=None)
    @given(keys)
    @example("..%2f..%2fsecret")
    @example("%2e%2e/secret")
    @example("..\uff0fsecret")
    @example("\u2024\u2024/secret")
    @example("x/\u202e/y?versionId=null#&prefix=../")
    @example("a\ufffeb")
    @example("+ +%20+")
    def stays_below(key):
        try:
            storage.write_bytes(b"ours", key)
        except InvalidKeyError:
            assert not is_valid_key(key)
            return
        listed = server.admin.list_objects_v2(Bucket=bucket)["Contents"]
        assert {entry["Key"] for entry in listed} == {"a/secret", f"a/b/{key}"}
        assert storage.list_files(recursive=True) == [key]
        assert storage.read_bytes(key) == b"ours"
        storage.delete(key)
        assert not storage.exists(key)

    stays_below()
    body = server.admin.get_object(Bucket=bucket, Key="a/secret")["Body"]
    with body:
        assert body.read() == b"not ours"

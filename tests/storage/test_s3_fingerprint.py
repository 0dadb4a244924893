"""Our own checksums: what they notice, and that they fit where they are kept."""

from __future__ import annotations

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crc32c_table import crc32c
from fluxforge.storage import s3_fingerprint
from fluxforge.storage.s3_fingerprint import Fingerprint

MIB = 1 << 20
SIZES = [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 5]


@pytest.mark.parametrize("size", SIZES)
def test_a_file_and_its_bytes_have_one_fingerprint(size):
    content = random.Random(size).randbytes(size)
    fingerprint = Fingerprint.of_bytes(content)
    assert Fingerprint.of_file(io.BytesIO(content), size) == fingerprint
    assert Fingerprint.from_metadata(fingerprint.metadata()) == fingerprint
    for number, at in enumerate(range(0, size, MIB)):
        assert fingerprint.fits(number, content[at : at + MIB])
        assert not fingerprint.fits(number + 1, content[at : at + MIB])


def test_the_checksum_is_the_one_s3_knows():
    assert Fingerprint.of_bytes(b"123456789").header() == "4waSgw=="  # 0xE3069283, the check value
    content = bytes(range(256)) * 5
    assert Fingerprint.of_bytes(content).crc32c == crc32c(content)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_flipped_bit_is_noticed(content, data):
    fingerprint = Fingerprint.of_bytes(content)
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    assert fingerprint.fits(0, content)
    assert not fingerprint.fits(0, bytes(damaged))
    assert not fingerprint.fits(0, content[:-1])


@pytest.mark.parametrize("size", [1, 256 * MIB, 257 * MIB, 5 << 30, 5 << 40])
def test_the_largest_object_has_room_for_it_in_s3s_metadata(size):
    log2 = s3_fingerprint._block_log2(size)
    blocks = -(-size >> log2)
    metadata = Fingerprint(log2, (0,) * blocks, 0, "0" * 16).metadata()
    nonce = len("fluxforge-nonce") + 32
    assert sum(len(key) + len(value) for key, value in metadata.items()) + nonce < 2048
    assert log2 == 20 or blocks > 128, "no larger blocks than need be"


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"fluxforge-xxh3": "0" * 16},
        {"fluxforge-crc32c": "20.AAAAAA=="},
        {"fluxforge-crc32c": "20.!!!!", "fluxforge-xxh3": "0" * 16},
        {"fluxforge-crc32c": "20.", "fluxforge-xxh3": "0" * 16},
        {"fluxforge-crc32c": "999.AAAAAA==", "fluxforge-xxh3": "0" * 16},
        {"fluxforge-crc32c": "x.AAAAAA==", "fluxforge-xxh3": "0" * 16},
        {"fluxforge-crc32c": "20.AAAA", "fluxforge-xxh3": "0" * 16},
    ],
)
def test_metadata_of_others_is_no_fingerprint(metadata):
    assert Fingerprint.from_metadata(metadata) is None

"""Our own checksums of an object, kept in its metadata: what S3 sends back must match them.

An object is cut into blocks of one size, a power of two, so many that a damaged one is found
before anyone reads it, and so few that their CRC32Cs fit the 2 KB that S3 has for metadata. The
hash over the whole finds what the blocks' checksums cannot: blocks left out or in another order.

    fluxforge-crc32c: 20.q83vASNFZ4k=    blocks of 2^20 bytes; a big-endian CRC32C for each of
                                         them, and last the one of all bytes, as S3 itself has it
    fluxforge-xxh3: 0123456789abcdef     of all bytes
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Self

from awscrt.checksums import crc32c

from fluxforge._native import Xxh3

_CRC32C = "fluxforge-crc32c"
_XXH3 = "fluxforge-xxh3"
_SMALLEST_LOG2 = 20
_LARGEST_LOG2 = 30
_MOST_BLOCKS = 256  # of four bytes each: 1.4 KB in base64


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an object's bytes must add up to.

    Attributes:
        block_log2: Logarithm of the blocks' size in bytes; the last block may be shorter.
        blocks: A CRC32C for each block.
        crc32c: The one of all bytes.
        xxh3: The hash of all bytes.
    """

    block_log2: int
    blocks: tuple[int, ...]
    crc32c: int
    xxh3: str

    @classmethod
    def of_file(cls, stream: BinaryIO, size: int) -> Self:
        """Compute it for a file of that many bytes, from its beginning."""
        stream.seek(0)
        log2 = _block_log2(size)
        return cls._of(iter(lambda: stream.read(1 << log2), b""), log2)

    @classmethod
    def of_bytes(cls, data: bytes) -> Self:
        """Compute it for bytes in memory."""
        log2 = _block_log2(len(data))
        if len(data) <= 1 << log2:
            return cls._of([data] if data else [], log2)
        step = 1 << log2
        return cls._of((data[at : at + step] for at in range(0, len(data), step)), log2)

    @classmethod
    def _of(cls, blocks: Iterable[bytes], log2: int) -> Self:
        checksums, whole, xxh3 = [], 0, Xxh3()
        for block in blocks:
            checksums.append(crc32c(block))
            whole = crc32c(block, whole)
            xxh3.update(block)
        return cls(log2, tuple(checksums), whole, xxh3.hexdigest())

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Self | None:
        """Read it from an object's metadata; None where someone else wrote the object."""
        log2, _, encoded = metadata.get(_CRC32C, "").partition(".")
        try:
            packed = base64.b64decode(encoded, validate=True)
            *checksums, whole = struct.unpack(f">{len(packed) // 4}I", packed)
            known = _SMALLEST_LOG2 <= int(log2) <= _LARGEST_LOG2
        except (binascii.Error, struct.error, ValueError):
            return None
        if not known or _XXH3 not in metadata:
            return None
        return cls(int(log2), tuple(checksums), whole, metadata[_XXH3])

    def metadata(self) -> dict[str, str]:
        """Return what is kept with the object."""
        packed = struct.pack(f">{len(self.blocks) + 1}I", *self.blocks, self.crc32c)
        encoded = base64.b64encode(packed).decode()
        return {_CRC32C: f"{self.block_log2}.{encoded}", _XXH3: self.xxh3}

    def header(self) -> str:
        """Return the checksum of all bytes as S3's ``x-amz-checksum-crc32c`` wants it."""
        return base64.b64encode(struct.pack(">I", self.crc32c)).decode()

    def fits(self, number: int, block: bytes) -> bool:
        """Say whether these are the bytes of a block."""
        return number < len(self.blocks) and crc32c(block) == self.blocks[number]

    def block_start(self, offset: int) -> int:
        """Return where the block begins that holds the byte at an offset."""
        return offset >> self.block_log2 << self.block_log2

    def counts(self, size: int) -> bool:
        """Say whether an object of that many bytes has so many blocks."""
        return len(self.blocks) == -(-size >> self.block_log2)


def _block_log2(size: int) -> int:
    log2 = _SMALLEST_LOG2
    while size > _MOST_BLOCKS << log2:
        log2 += 1
    return log2

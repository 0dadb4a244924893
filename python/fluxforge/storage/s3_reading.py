"""One object on its way down: checked block by block, taken up again where it broke.

Promise: of an object that S3Storage wrote, no byte is given out whose block did not match its
checksum. A connection that breaks or stalls, and a block that arrives damaged, cost one more
request from that block on; what was given out before stays valid. If the object is replaced
meanwhile, that is an error, never a mixture. Objects of others have no checksums: their bytes are
given out as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError

from fluxforge._native import Xxh3
from fluxforge.errors import ObjectDamagedError, StorageError
from fluxforge.storage.s3_fingerprint import Fingerprint
from fluxforge.storage.s3_put import pause

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

_ATTEMPTS = 5
_UNCHECKED = 1 << 20


class _Damaged(Exception):  # noqa: N818  # never leaves this module: the block is asked for again
    pass


@dataclass(frozen=True, slots=True)
class _Answer:
    """What S3 sends, and what it says of it."""

    body: Any
    etag: str
    begins: int
    size: int
    fingerprint: Fingerprint | None

    @classmethod
    def of(cls, answer: GetObjectOutputTypeDef) -> _Answer:
        # "bytes 5-9/10"; absent where all of it is sent, also by stores that know no ranges.
        spoken, _, size = answer.get("ContentRange", "").partition("/")
        return cls(
            body=answer["Body"],
            etag=answer.get("ETag", ""),
            begins=int(spoken.removeprefix("bytes ").partition("-")[0]) if size else 0,
            size=int(size) if size else answer["ContentLength"],
            fingerprint=Fingerprint.from_metadata(answer["Metadata"]),
        )

    @property
    def step(self) -> int:
        return _UNCHECKED if self.fingerprint is None else 1 << self.fingerprint.block_log2


class Download:
    """An object being read.

    Args:
        get: Asks for the object from an offset on.
        what: What is being done to which object, for errors.
        sleep: Waits, in seconds.
    """

    def __init__(
        self,
        get: Callable[[int], GetObjectOutputTypeDef],
        what: str,
        *,
        sleep: Callable[[float], None],
    ) -> None:
        self._get = get
        self._what = what
        self._sleep = sleep
        self._first: _Answer | None = None

    def blocks(self, start: int = 0) -> Iterator[bytes]:
        """Give out verified blocks.

        Args:
            start: Where to begin; the start of a block.

        Raises:
            ObjectDamagedError: It keeps arriving otherwise than it was written.
            StorageError: It was replaced meanwhile.
            BotoCoreError: As boto3 raises it, when the connection keeps breaking.
        """
        xxh3, offset, failures = Xxh3(), start, 0
        while True:
            answer = self._ask(offset)
            try:
                with answer.body:
                    for block in _received(answer, offset):
                        xxh3.update(block)
                        offset += len(block)
                        failures = 0
                        yield block
                break
            except (_Damaged, BotoCoreError, HTTPError) as error:
                failures += 1
                if failures == _ATTEMPTS:
                    if isinstance(error, _Damaged):
                        raise self._not_as_written(f"from byte {offset} on") from None
                    raise
                self._sleep(pause(failures))
        known = answer.fingerprint
        if start == 0 and known is not None and xxh3.hexdigest() != known.xxh3:
            raise self._not_as_written("as a whole")

    def _ask(self, offset: int) -> _Answer:
        answer = _Answer.of(self._get(offset))
        if self._first is None:
            self._first = answer
        known = answer.fingerprint
        if answer.etag != self._first.etag:
            answer.body.close()
            raise StorageError(f"{self._what}: it was replaced while it was read; read it again")
        if known is not None and not known.counts(answer.size):
            answer.body.close()
            raise self._not_as_written(f"{answer.size} bytes long")
        return answer

    def _not_as_written(self, where: str) -> ObjectDamagedError:
        return ObjectDamagedError(
            f"{self._what}: {where}, the bytes that arrived are not those that were written; "
            "the object is damaged, or something on the way to it is"
        )


def cut(
    blocks: Iterator[bytes], size: int, *, begin: int, start: int, stop: int | None
) -> Iterator[bytes]:
    """Cut blocks into the pieces that were asked for.

    Args:
        blocks: The object's blocks.
        size: The most that a piece holds.
        begin: Where the first block begins in the object.
        start: The first byte wanted.
        stop: The first byte not wanted any more; None is the end.
    """
    for block in blocks:
        wanted = memoryview(block)[max(start - begin, 0) : None if stop is None else stop - begin]
        begin += len(block)
        if len(wanted) == len(block) <= size:
            yield block
        else:
            for first in range(0, len(wanted), size):
                yield bytes(wanted[first : first + size])
        if stop is not None and begin >= stop:
            return


def _received(answer: _Answer, offset: int) -> Iterator[bytes]:
    _skip(answer, offset)
    while offset < answer.size:
        wanted = min(answer.step, answer.size - offset)
        block = _exactly(answer.body, wanted)
        if answer.fingerprint is not None and not answer.fingerprint.fits(
            offset // answer.step, block
        ):
            raise _Damaged
        offset += wanted
        yield block


def _skip(answer: _Answer, offset: int) -> None:
    unwanted = offset - answer.begins
    while unwanted > 0:
        unwanted -= len(_exactly(answer.body, min(unwanted, _UNCHECKED)))


def _exactly(body: Any, wanted: int) -> bytes:
    pieces, missing = [], wanted
    while missing:
        piece = body.read(missing)
        if not piece:
            raise _Damaged  # shorter than it was announced
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)

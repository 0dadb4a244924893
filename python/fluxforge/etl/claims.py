"""Claims: who is working on which segment.

A claim is an object ``processing/{segment}.{uid}.{epoch}.json``, made with ``create_new``; the
segment itself stays in ready/. Beside it the owner bumps a counter. Whoever sees that counter
unchanged for the lease, on its own monotonic clock, or sees on the same host that the owner is
gone, may claim epoch + 1.

Claims only save work. Two workers on one segment are harmless: they write the same parts, one
commit wins, and raw is removed only by who has seen that commit. So a lost claim needs no check.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from glob import escape

import orjson

from fluxforge.errors import ObjectNotFoundError
from fluxforge.etl.worker import Worker
from fluxforge.storage.base import StorageBackend

log = logging.getLogger(__name__)

CLAIM_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's claim on one segment.

    Attributes:
        segment: The segment's label.
        uid: The segment's identity.
        epoch: 1 for the first claim, one more for each take-over.
        key: Where the claim lies.
    """

    segment: str
    uid: str
    epoch: int
    key: str

    @property
    def beat_key(self) -> str:
        """Where the owner's counter lies."""
        return f"{self.key.removesuffix('.json')}.beat"


class Claims:
    """The claims of one source's segments, as one worker sees them.

    Args:
        storage: The storage that holds the segments.
        path: Key of the claims' directory, as ``raw/processing/coinbase``.
        worker: Who claims.
        lease_seconds: How long a counter may stand still before its owner counts as gone.
        monotonic: Clock in seconds.
    """

    def __init__(
        self,
        storage: StorageBackend,
        *,
        path: str,
        worker: Worker,
        lease_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = storage
        self._path = path
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._monotonic = monotonic
        self._observed: dict[str, tuple[bytes, float]] = {}

    def acquire(self, segment: str, uid: str) -> Claim | None:
        """Claim a segment, taking it over from an owner that is gone.

        Returns:
            The claim, or None while another worker holds it.
        """
        epoch = 1
        if existing := self._existing(segment, uid):
            latest = existing[-1]
            if not self._owner_is_gone(latest):
                return None
            epoch = latest.epoch + 1
            log.info("taking %s over from a worker that is gone (epoch %d)", segment, epoch)
        claim = self._claim(segment, uid, epoch)
        record = {
            "format": CLAIM_FORMAT,
            "segment": segment,
            "uid": uid,
            "epoch": epoch,
            "nonce": secrets.token_hex(8),
            "worker": asdict(self._worker),
        }
        return claim if self._storage.create_new(orjson.dumps(record), claim.key) else None

    @contextmanager
    def alive(self, claim: Claim) -> Iterator[None]:
        """Bump the claim's counter in a thread while the block runs."""
        done = threading.Event()

        def beat() -> None:
            counter = 0
            while not done.wait(self._lease_seconds / 4):
                counter += 1
                try:
                    self._storage.write_bytes(str(counter).encode(), claim.beat_key)
                except Exception:
                    # A missed beat can only cost a take-over, which is harmless.
                    log.warning("could not renew the claim %s", claim.key, exc_info=True)

        thread = threading.Thread(target=beat, name=f"beat-{claim.segment}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def segments(self) -> set[tuple[str, str]]:
        """Return label and identity of every segment that has a claim."""
        keys = self._storage.list_files(self._path, "*.json")
        names = (key.rpartition("/")[2].rsplit(".", 3) for key in keys)
        return {(name[0], name[1]) for name in names if len(name) == 4}  # noqa: PLR2004

    def clear(self, segment: str, uid: str) -> None:
        """Remove all claims of a segment: it is committed, or this worker gives it up."""
        for claim in self._existing(segment, uid):
            self._observed.pop(claim.key, None)
            # The counter first: a claim without one is complete, a counter without one is litter.
            self._storage.delete(claim.beat_key)
            self._storage.delete(claim.key)

    def _claim(self, segment: str, uid: str, epoch: int) -> Claim:
        return Claim(segment, uid, epoch, f"{self._path}/{segment}.{uid}.{epoch:04}.json")

    def _existing(self, segment: str, uid: str) -> list[Claim]:
        """List the claims on a segment by epoch."""
        pattern = f"{escape(segment)}.{uid}.*.json"
        epochs = (key.split(".")[-2] for key in self._storage.list_files(self._path, pattern))
        return [self._claim(segment, uid, epoch) for epoch in sorted(map(int, epochs))]

    def _owner_is_gone(self, claim: Claim) -> bool:
        try:
            owner = orjson.loads(self._storage.read_bytes(claim.key))["worker"]
            gone = self._worker.sees_gone(
                host=owner["host"], pid=owner["pid"], started=owner["started"]
            )
        except ObjectNotFoundError:
            return False  # released this moment; the next look will find it free
        except (orjson.JSONDecodeError, KeyError, TypeError):
            gone = False  # not a claim of ours: only the lease ends it
        if gone:
            return True
        now = self._monotonic()
        counter = self._counter(claim)
        seen, since = self._observed.get(claim.key, (None, now))
        if counter != seen:
            self._observed[claim.key] = (counter, now)
            return False
        return now - since >= self._lease_seconds

    def _counter(self, claim: Claim) -> bytes:
        try:
            return self._storage.read_bytes(claim.beat_key)
        except ObjectNotFoundError:
            return b""

"""Claims: who is working on which segment.

A claim is an object ``processing/{segment}.{uid}.{epoch}.json``, made with ``create_new``; the
segment itself stays in ready/. Beside it lies its owner's *beat*: it appears when parsing begins
and changes while it lasts. Whoever sees it unchanged for the lease, on its own monotonic clock, or
sees on the same host that the owner is gone, may claim epoch + 1.

Claims only save work. Two workers on one segment are harmless: they write the same parts, one
commit wins, and raw is removed only by who has seen that commit. So a lost claim needs no check,
and what is known of claims may be as old as the last look at them: listing costs the most.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from fluxforge.errors import ObjectNotFoundError
from fluxforge.etl.beats import Doing, beat, doing
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
        """Where the owner's beat lies."""
        return f"{self.key.removesuffix('.json')}.beat"


class Claims:
    """The claims of one source's segments, as one worker sees them. For one thread.

    Args:
        storage: The storage that holds the segments.
        path: Key of the claims' directory, as ``raw/processing/coinbase``.
        worker: Who claims.
        lease_seconds: How long a beat may stand still before its owner counts as gone.
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
        self._looked = False
        self._seen: dict[tuple[str, str], dict[int, Claim]] = {}
        self._without_beat: set[str] = set()  # claims of ours that have not come to parsing
        self._owners: dict[str, dict[str, Any]] = {}
        self._observed: dict[str, _Observed] = {}

    def look(self) -> None:
        """List the claims; what follows relies on this until the next look."""
        self._looked = True
        self._seen = {}
        listed = self._storage.list_files(self._path, "*.json")
        for key in listed:
            match key.rpartition("/")[2].rsplit(".", 3):
                case [segment, uid, epoch, _] if epoch.isdecimal():
                    claim = Claim(segment, uid, int(epoch), key)
                    self._seen.setdefault((segment, uid), {})[claim.epoch] = claim
        self._owners = {key: self._owners[key] for key in self._owners.keys() & listed}
        self._observed = {key: self._observed[key] for key in self._observed.keys() & listed}

    def known(self) -> set[tuple[str, str]]:
        """Return label and identity of every segment that has a claim, as of the last look."""
        if not self._looked:
            self.look()
        return {identity for identity, epochs in self._seen.items() if epochs}

    def acquire(self, segment: str, uid: str) -> Claim | None:
        """Claim a segment, taking it over from an owner that is gone.

        Returns:
            The claim, or None while another worker holds it.
        """
        epochs = self._epochs(segment, uid)
        latest = max(epochs, default=0)
        if epochs and not self._owner_is_gone(epochs[latest]):
            return None
        epoch = latest + 1
        claim = Claim(segment, uid, epoch, f"{self._path}/{segment}.{uid}.{epoch:04}.json")
        record = {
            "format": CLAIM_FORMAT,
            "segment": segment,
            "uid": uid,
            "epoch": epoch,
            "nonce": secrets.token_hex(8),
            "worker": asdict(self._worker),
        }
        epochs[epoch] = claim  # whoever makes it: it exists now
        if not self._storage.create_new(orjson.dumps(record), claim.key):
            return None
        self._without_beat.add(claim.key)
        if epoch > 1:
            log.info("taking %s over from a worker that is gone (epoch %d)", segment, epoch)
        return claim

    @contextmanager
    def alive(self, claim: Claim, stop: threading.Event | None = None) -> Iterator[None]:
        """Say that parsing has begun, and go on saying so in a thread while the block runs.

        Args:
            claim: What this worker holds.
            stop: Set when this process is told to end: if it is killed from now on, the segment
                is not to blame.
        """
        self._without_beat.discard(claim.key)
        self._storage.write_bytes(beat(0, "parsing"), claim.beat_key)
        done = threading.Event()
        thread = threading.Thread(
            target=self._beat,
            args=(claim, done, stop or threading.Event()),
            name=f"beat-{claim.segment}",
            daemon=True,
        )
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def crashes(self, claim: Claim) -> int:
        """Count the workers that held the segment before and are gone since they parsed it.

        One that died before it came to parsing, or while it was told to stop, does not count.
        """
        earlier = (known for known in self._epochs(claim.segment, claim.uid).values())
        return sum(
            known.epoch < claim.epoch and doing(self._beat_of(known)) == "parsing"
            for known in earlier
        )

    def release(self, claim: Claim) -> None:
        """Give a segment up without a commit; what earlier owners left stays for the count."""
        self._remove(claim)

    def clear(self, segment: str, uid: str) -> None:
        """Remove all claims of a segment that this worker knows: it needs no more of them."""
        for claim in list(self._epochs(segment, uid).values()):
            self._remove(claim)

    def _remove(self, claim: Claim) -> None:
        # The beat first: a claim without one is complete, a beat without a claim is litter.
        if claim.key not in self._without_beat:
            self._storage.delete(claim.beat_key)
        self._storage.delete(claim.key)
        self._without_beat.discard(claim.key)
        self._epochs(claim.segment, claim.uid).pop(claim.epoch, None)

    def _epochs(self, segment: str, uid: str) -> dict[int, Claim]:
        if not self._looked:
            self.look()
        return self._seen.setdefault((segment, uid), {})

    def _owner_is_gone(self, claim: Claim) -> bool:
        owner = self._owner(claim)
        if owner.get("name") == self._worker.name:
            return True  # this worker works at one segment at a time, and asks for this one
        if "host" in owner and self._worker.sees_gone(
            host=owner["host"], pid=owner["pid"], started=owner["started"]
        ):
            return True
        now = self._monotonic()
        observed = self._observed.get(claim.key)
        if observed is not None and not observed.is_due(now, self._lease_seconds):
            return False
        content = self._beat_of(claim)
        if observed is None or content != observed.beat:
            self._observed[claim.key] = _Observed(content, since=now, read=now)
            return False
        observed.read = now
        return now - observed.since >= self._lease_seconds

    def _owner(self, claim: Claim) -> dict[str, Any]:
        """Return who made a claim; nothing where it does not say: then only the lease ends it."""
        if claim.key not in self._owners:
            try:
                owner = orjson.loads(self._storage.read_bytes(claim.key))["worker"]
                complete = {"name", "host", "pid", "started"} <= owner.keys()
            except ObjectNotFoundError:
                return {}  # released this moment; the next look will find it free
            except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
                owner, complete = {}, False
            self._owners[claim.key] = owner if complete else {}
        return self._owners[claim.key]

    def _beat_of(self, claim: Claim) -> bytes:
        try:
            return self._storage.read_bytes(claim.beat_key)
        except ObjectNotFoundError:
            return b""

    def _beat(self, claim: Claim, done: threading.Event, stop: threading.Event) -> None:
        count, last = 0, self._monotonic()
        told: Doing = "parsing"
        # Woken more often than it beats: whoever says stop may say kill ten seconds later.
        while not done.wait(min(self._lease_seconds / 4, 1)):
            now = self._monotonic()
            saying: Doing = "stopping" if stop.is_set() else "parsing"
            if saying == told and now - last < self._lease_seconds / 4:
                continue
            count, last, told = count + 1, now, saying
            try:
                self._storage.write_bytes(beat(count, saying), claim.beat_key)
            except Exception:
                # A missed beat can only cost a take-over, which is harmless.
                log.warning("could not renew the claim %s", claim.key, exc_info=True)


@dataclass(slots=True)
class _Observed:
    """What this worker saw of another's beat, and when, in seconds of its own clock."""

    beat: bytes
    since: float
    read: float

    def is_due(self, now: float, lease: float) -> bool:
        """Whether it is time to read again: not at every poll, each read is a request."""
        return now - self.since >= lease or now - self.read >= lease / 4

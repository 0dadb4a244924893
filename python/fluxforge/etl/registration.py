"""One lake for one raw: who removes raw must be the only one who turns it into a lake.

Two lakes on the same segments would each get what the other left over. So a worker that archives
or deletes raw first writes its lake's identity beside raw, with ``create_new``; whoever finds
another lake's there stops. Raw that is kept may become any number of lakes.
"""

from __future__ import annotations

import orjson

from fluxforge.errors import LedgerError, ObjectNotFoundError, SecondLakeError
from fluxforge.ledger import Ledger
from fluxforge.storage.base import StorageBackend

REGISTRATION_FORMAT = 1


class Registration:
    """Which lake one source's segments become.

    Args:
        storage: Where the segments lie.
        key: Where their lake is written down.
        ledger: The lake's ledger.
        lake: Where the lake lies, for people.
        removes_raw: Whether committed segments are archived or deleted.
    """

    def __init__(
        self, storage: StorageBackend, *, key: str, ledger: Ledger, lake: str, removes_raw: bool
    ) -> None:
        self._storage = storage
        self._key = key
        self._ledger = ledger
        self._lake = lake
        self._removes_raw = removes_raw
        self._holds = False

    def require(self) -> None:
        """Return if the segments may become this lake; asks the storage once.

        Raises:
            SecondLakeError: They become another one.
            LedgerError: What is written there makes no sense.
        """
        if self._holds:
            return
        registered = self._registered()
        if registered is None and self._removes_raw:
            record = {
                "format": REGISTRATION_FORMAT,
                "lake": self._ledger.lake(),
                "path": self._lake,
            }
            if not self._storage.create_new(orjson.dumps(record), self._key):
                registered = self._registered()
        if registered is not None:
            self._must_be_ours(*registered)
        self._holds = True

    def _registered(self) -> tuple[str, str] | None:
        try:
            self._storage.ensure_durable(self._key)
            data = self._storage.read_bytes(self._key)
        except ObjectNotFoundError:
            return None
        try:
            record = orjson.loads(data)
            return str(record["lake"]), str(record["path"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise LedgerError(
                f"{self._storage.get_full_path(self._key)} should name the lake that these "
                f"segments become, and does not ({error!r}). Delete it if there is one lake only."
            ) from error

    def _must_be_ours(self, lake: str, path: str) -> None:
        if lake == self._ledger.lake():
            return
        raise SecondLakeError(
            f"the segments here become the lake at {path}, and leave raw once they are in it; a "
            f"second lake at {self._lake} would miss what that one takes, and the other way "
            "round. Use that one (storage.base_dir, etl.storage_output), or set "
            "etl.raw_retention: keep for both. If that lake is gone for good, or raw is to be "
            f"kept from now on, delete {self._storage.get_full_path(self._key)} and run again."
        )

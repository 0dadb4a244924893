"""The ETL job: every ready segment, claimed, turned into parts, committed and tidied.

After a crash at any point, running again gives the same lake:

| crash after | what the next run finds and does |
|---|---|
| claim | a claim whose owner is gone: takes it over |
| the beat that says it parses | the same; counts a crash, and after `etl.max_crashes` quarantines |
| some parts | parts that no commit lists: writes the same bytes under the same names |
| commit | the commit: only tidies |
| archive | the archive: checks it, deletes raw |
| raw deleted | nothing in ready/: the claim is litter without a segment, removed |
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack

from fluxforge.config import FluxForgeConfig
from fluxforge.errors import (
    FluxForgeError,
    ObjectNotFoundError,
    SegmentError,
    SegmentNotFoundError,
)
from fluxforge.etl.backlog import Backlog, is_plain
from fluxforge.etl.claims import Claim, Claims
from fluxforge.etl.orchestrators import CoinbaseSegmentPipeline
from fluxforge.etl.quarantine import Quarantine
from fluxforge.etl.registration import Registration
from fluxforge.etl.rehearsal import Rehearsal
from fluxforge.etl.report import JobReport
from fluxforge.etl.sweeper import Sweeper
from fluxforge.etl.tidy import Tidier
from fluxforge.etl.worker import Worker
from fluxforge.ledger import Commit, Ledger
from fluxforge.storage.base import StorageBackend
from fluxforge.storage.factory import (
    create_storage_backend,
    get_archive_path,
    get_commits_path,
    get_etl_input_path,
    get_etl_output_path,
    get_processing_path,
    get_quarantine_path,
    get_registration_key,
)
from fluxforge.storage.probe import require_honest

log = logging.getLogger(__name__)


class ETLJob:
    """Turns the ready segments of one source into the lake.

    Any number of jobs may run on one storage, on one machine or many.

    Args:
        config: Where segments and lake lie, and how parts are written.
        source: The feed, if not as the config says.
        storage: Where the segments lie, if not as the config says.
        storage_output: Where the lake lies, if not as the config says.
    """

    def __init__(
        self,
        config: FluxForgeConfig,
        *,
        source: str | None = None,
        storage: StorageBackend | None = None,
        storage_output: StorageBackend | None = None,
    ) -> None:
        source = source or config.ingestion.source
        input_config = config.etl_input_storage()
        output_config = config.etl_output_storage()
        self._storage = storage or create_storage_backend(input_config)
        output = storage_output or create_storage_backend(output_config)
        # Once each, where input and output are one place.
        self._unprobed = {each.get_full_path(""): each for each in (self._storage, output)}
        if config.etl.single_worker:
            self._unprobed.clear()
        worker = Worker.current()
        self._ready_path = get_etl_input_path(input_config, source)
        self._ledger = Ledger(output, path=get_commits_path(output_config, source))
        self._claims = Claims(
            self._storage,
            path=get_processing_path(input_config, source),
            worker=worker,
            lease_seconds=config.etl.lease,
        )
        self._pipeline = CoinbaseSegmentPipeline(
            self._storage,
            storage_output=output,
            output_path=get_etl_output_path(output_config, source),
            settings=config.etl,
            worker=worker.name,
            feed=source,
        )
        self._tidier = Tidier(
            self._storage,
            archive_path=get_archive_path(input_config, source),
            retention=config.etl.raw_retention,
        )
        self._registration = Registration(
            self._storage,
            key=get_registration_key(input_config, source),
            ledger=self._ledger,
            lake=output.get_full_path(get_etl_output_path(output_config, source)),
            removes_raw=config.etl.raw_retention != "keep",
        )
        self._backlog = Backlog(
            self._storage,
            path=self._ready_path,
            look=self._claims.look,
            fresh_seconds=config.etl.poll_interval,
        )
        self._quarantine = Quarantine(self._storage, path=get_quarantine_path(input_config, source))
        self._max_crashes = config.etl.max_crashes
        self._rehearsal = Rehearsal(config, source=source)
        self._keeps_raw = config.etl.raw_retention == "keep"
        self._cleared_litter = False
        self._sweeper = Sweeper(
            self._storage,
            storage_output=output,
            ledger=self._ledger,
            output_path=get_etl_output_path(output_config, source),
            ready_path=self._ready_path,
            claims_path=get_processing_path(input_config, source),
            grace_seconds=config.etl.sweep_grace,
        )
        self._sweep_interval = config.etl.sweep_interval
        self._next_sweep = 0.0
        self._stop: threading.Event | None = None

    @property
    def ready(self) -> str:
        """Where this job looks for segments, as other tools name it."""
        return self._storage.get_full_path(self._ready_path)

    def run_once(self, stop: threading.Event | None = None) -> JobReport:
        """Process every ready segment once; a segment that fails does not stop the others.

        Args:
            stop: Set to end after the segment in hand.

        Raises:
            DishonestStorageError: At the first pass: a storage that cannot keep workers apart.
            StorageError: A storage that refuses, or does not answer.
        """
        while self._unprobed:
            place, storage = next(iter(self._unprobed.items()))
            require_honest(storage)
            del self._unprobed[place]
        report = JobReport()
        self._stop = stop
        for key in self._backlog:
            if stop is not None and stop.is_set():
                break
            self._registration.require()
            report.ready += 1
            try:
                self._process(key, report)
            except (ObjectNotFoundError, SegmentNotFoundError):
                continue  # another worker has finished it since the listing
            except FluxForgeError as error:
                log.error("%s", error)  # noqa: TRY400 - the message says it all
                report.failures[key] = error
            except Exception as error:
                log.exception("%s could not be processed and stays where it is", key)
                report.failures[key] = error
        if report.ready or not self._cleared_litter:
            self._clear_litter()
            self._cleared_litter = True
        if not (stop is not None and stop.is_set()):
            self._sweep()
        return report

    def rehearse(self, key: str, *, segment: str, uid: str) -> None:
        """Parse a segment and write its parts, and commit nothing: will this process survive?"""
        self._pipeline.run(key, segment=segment, uid=uid)

    def _sweep(self) -> None:
        """Sweep if it is due. A failure is told and does no harm: the lake is as it was."""
        if time.monotonic() < self._next_sweep:
            return
        self._next_sweep = time.monotonic() + self._sweep_interval
        try:
            report = self._sweeper.sweep_if_due(every_seconds=self._sweep_interval)
        except FluxForgeError as error:
            log.warning("could not sweep the lake: %s", error)
            return
        if report is not None:
            log.debug("swept: %s", report)

    def _process(self, key: str, report: JobReport) -> None:
        segment, uid = self._backlog.identify(key)
        if self._keeps_raw and (commit := self._ledger.find(segment, uid)):
            # Most of what lies there is committed: not worth a claim.
            report.already += 1
            self._keep(key, commit)
            return
        claim = self._claims.acquire(segment, uid)
        if claim is None:
            report.held += 1
            self._backlog.scatter()
            return
        try:
            with ExitStack() as alive:
                commit = self._commit(key, claim, report, alive)
                if commit is not None:
                    self._tidier.tidy(key, commit)
        except Exception:
            self._claims.release(claim)
            raise
        self._claims.clear(segment, uid)
        if self._keeps_raw and commit is not None:
            self._keep(key, commit)

    def _commit(self, key: str, claim: Claim, report: JobReport, alive: ExitStack) -> Commit | None:
        """Return the segment's commit, ours or another's; None if no worker survives it.

        From parsing on this worker is to be seen ``alive``, until it has tidied too.
        """
        # Not before the claim: whoever held it until now may have committed in between.
        if commit := self._ledger.find(claim.segment, claim.uid):
            report.already += 1
            return commit
        crashes = self._claims.crashes(claim)
        if crashes >= self._max_crashes and not self._rehearsal.survives(
            key, segment=claim.segment, uid=claim.uid
        ):
            self._quarantine.admit(key, segment=claim.segment, uid=claim.uid, crashes=crashes)
            report.quarantined.append(claim.segment)
            return None
        alive.enter_context(self._claims.alive(claim, self._stop))
        self._storage.ensure_durable(key)
        ours = self._pipeline.run(key, segment=claim.segment, uid=claim.uid)
        self._must_be_unchanged(key, ours)
        commit = self._ledger.publish(ours)
        if commit is ours:
            report.add(commit)
        return commit

    def _must_be_unchanged(self, key: str, commit: Commit) -> None:
        """Raise if the file was still being written: a sealed segment never changes."""
        if commit.raw.sealed and not commit.raw.damaged:
            return
        if self._storage.size(key) != commit.raw.bytes or (
            is_plain(commit.segment) and commit.raw.xxh3 != commit.uid
        ):
            raise SegmentError(
                f"{key} changed while it was read; it stays for the next look. Bring files into "
                "this directory by renaming them, not by copying."
            )

    def _keep(self, key: str, commit: Commit) -> None:
        self._backlog.keep(key, commit.raw.bytes if is_plain(commit.segment) else None)

    def _clear_litter(self) -> None:
        """Remove claims that outlived their segment: their owner died while tidying."""
        for segment, uid in self._claims.known():
            if not self._backlog.holds(segment) and (
                self._ledger.find(segment, uid) or self._quarantine.holds(segment, uid)
            ):
                self._claims.clear(segment, uid)

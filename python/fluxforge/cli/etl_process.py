"""The ETL in a process of its own, so that it never slows the capture beside it.

Spawned, not forked: a forked child would share the segment's lock and the writer's descriptors.
The parent speaks over a pipe. Its end closing without a word means that the parent has died.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from multiprocessing.connection import Connection

from fluxforge.cli.options import configure_logging
from fluxforge.cli.stopping import leave_stopping_to_the_parent, signals_held_back
from fluxforge.config import FluxForgeConfig

log = logging.getLogger(__name__)

_FINISH = "finish"
_NICENESS = 10


class EtlProcess:
    """A watching ETL beside an ingest.

    Args:
        config: As for the ETL on its own.
        verbose: Whether it logs more.
        quiet: Whether it logs warnings only.
    """

    def __init__(
        self, config: FluxForgeConfig, *, verbose: bool = False, quiet: bool = False
    ) -> None:
        spawn = multiprocessing.get_context("spawn")
        theirs, self._pipe = spawn.Pipe(duplex=False)
        self._process = spawn.Process(
            target=_main, args=(theirs, config, verbose, quiet), name="fluxforge-etl"
        )
        with signals_held_back():
            self._process.start()
        theirs.close()

    @property
    def sentinel(self) -> int:
        """A descriptor that becomes readable when the process ends."""
        return self._process.sentinel

    def finish(self) -> int:
        """Let it process what is ready by now, wait for its end and return its exit code."""
        try:
            self._pipe.send(_FINISH)
        except OSError:
            log.error("the ETL process ended by itself")  # noqa: TRY400 - its own log says why
        self._process.join()
        code = self._process.exitcode or 0
        return code if code >= 0 else 1  # ended by a signal

    def terminate(self) -> None:
        """Stop it at once."""
        self._process.kill()
        self._process.join()


def _main(pipe: Connection, config: FluxForgeConfig, verbose: bool, quiet: bool) -> None:  # noqa: FBT001 - Process passes by position
    leave_stopping_to_the_parent()
    from fluxforge.errors import FluxForgeError  # noqa: PLC0415
    from fluxforge.etl import ETLJob, ETLWatcher  # noqa: PLC0415

    configure_logging(verbose=verbose)
    if quiet:
        logging.getLogger().setLevel(logging.WARNING)
    os.nice(_NICENESS)
    stop = threading.Event()
    finish = threading.Event()

    def listen() -> None:
        try:
            if pipe.recv() == _FINISH:
                finish.set()
        except EOFError:
            log.warning("the capture beside this ETL is gone; stopping")
        stop.set()

    threading.Thread(target=listen, name="parent", daemon=True).start()
    try:
        job = ETLJob(config)
        exit_code = ETLWatcher.configured(config.etl, job).run(stop)
        if finish.is_set():
            exit_code = max(exit_code, job.run_once().exit_code)
    except FluxForgeError as error:
        log.error("%s", error)  # noqa: TRY400 - the message says it all
        exit_code = error.exit_code
    raise SystemExit(exit_code)

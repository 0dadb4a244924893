"""An ETL in a process of its own: beside a capture, which it must not slow, or one of several.

Spawned, not forked: a forked child would share the segment's lock and the writer's descriptors.
The parent speaks over a pipe. Its end closing without a word means that the parent has died.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from multiprocessing.connection import Connection

from fluxforge.cli.etl_loop import run_etl
from fluxforge.cli.options import configure_logging
from fluxforge.cli.stopping import leave_stopping_to_the_parent, signals_held_back
from fluxforge.config import FluxForgeConfig

log = logging.getLogger(__name__)

_STOP = "stop"
_FINISH = "finish"
BESIDE_A_CAPTURE = 10
"""How far an ETL steps back for a capture, which must not wait for it."""


class EtlProcess:
    """An ETL that is told what to do by the process that starts it.

    Args:
        config: As for the ETL on its own.
        name: What it is called in the log, where it is one of several.
        watch: Whether it goes on looking for segments until told to end.
        niceness: How far it steps back for the process beside it.
        verbose: Whether it logs more.
        quiet: Whether it logs warnings only.
    """

    def __init__(
        self,
        config: FluxForgeConfig,
        *,
        name: str | None = None,
        watch: bool = True,
        niceness: int = BESIDE_A_CAPTURE,
        verbose: bool = False,
        quiet: bool = False,
    ) -> None:
        spawn = multiprocessing.get_context("spawn")
        theirs, self._pipe = spawn.Pipe(duplex=False)
        self._process = spawn.Process(
            target=_main,
            args=(theirs, config),
            kwargs={
                "name": name,
                "watch": watch,
                "niceness": niceness,
                "verbose": verbose,
                "quiet": quiet,
            },
            name=name or "fluxforge-etl",
        )
        with signals_held_back():
            self._process.start()
        theirs.close()

    @property
    def sentinel(self) -> int:
        """A descriptor that becomes readable when the process ends."""
        return self._process.sentinel

    def stop(self) -> None:
        """Tell it to end after the segment in hand."""
        self._say(_STOP)

    def finish(self) -> None:
        """Tell it to end after the segments that are ready by now."""
        self._say(_FINISH)

    def wait(self) -> int:
        """Wait for its end; return its exit code, or the signal that ended it, negated."""
        self._process.join()
        return self._process.exitcode or 0

    def terminate(self) -> None:
        """Stop it at once."""
        self._process.kill()
        self._process.join()

    def _say(self, word: str) -> None:
        try:
            self._pipe.send(word)
        except OSError:
            log.error("the ETL process ended by itself")  # noqa: TRY400 - its own log says why


def _main(
    pipe: Connection,
    config: FluxForgeConfig,
    *,
    name: str | None,
    watch: bool,
    niceness: int,
    verbose: bool,
    quiet: bool,
) -> None:
    leave_stopping_to_the_parent()
    from fluxforge.errors import FluxForgeError  # noqa: PLC0415

    configure_logging(verbose=verbose, name=name)
    if quiet:
        logging.getLogger().setLevel(logging.WARNING)
    os.nice(niceness)
    stop = threading.Event()
    finish = threading.Event()

    def listen() -> None:
        try:
            if pipe.recv() == _FINISH:
                finish.set()
        except EOFError:
            log.warning("the process that started this ETL is gone; stopping")
        stop.set()

    threading.Thread(target=listen, name="parent", daemon=True).start()
    try:
        job, exit_code = run_etl(config, watch=watch, stop=stop)
        if finish.is_set():
            exit_code = max(exit_code, job.run_once().exit_code)
    except FluxForgeError as error:
        log.error("%s", error)  # noqa: TRY400 - the message says it all
        exit_code = error.exit_code
    raise SystemExit(exit_code)

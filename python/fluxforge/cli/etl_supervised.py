"""The ETL as ``etl.workers`` processes under a supervisor, alone or beside a capture."""

from __future__ import annotations

from fluxforge.cli.etl_process import EtlProcess
from fluxforge.cli.etl_workers import Supervisor, share
from fluxforge.config import FluxForgeConfig


def supervised(
    config: FluxForgeConfig, *, watch: bool = True, niceness: int = 0, verbose: bool = False
) -> Supervisor:
    """Return a supervisor of as many workers as the configuration says; it has started none yet.

    Args:
        config: As for the ETL on its own.
        watch: Whether the workers go on looking for segments until told to end.
        niceness: How far they step back for the process beside them.
        verbose: Whether they log more.
    """
    shared = share(config, config.etl.workers)

    def start(name: str) -> EtlProcess:
        return EtlProcess(shared, name=name, watch=watch, niceness=niceness, verbose=verbose)

    return Supervisor(start, count=config.etl.workers, watch=watch)

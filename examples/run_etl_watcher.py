"""Turn ready segments into Parquet from Python: what ``fluxforge-etl`` does.

Any number of these may run on one storage, on one machine or several.
"""

from __future__ import annotations

import signal
import sys
import threading

from fluxforge.config import load_config
from fluxforge.etl import ETLWatcher
from fluxforge.etl.job import ETLJob


def main() -> int:
    """Watch until SIGINT or SIGTERM; the segment in hand is finished before this returns."""
    config = load_config()
    stop = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stop.set())
    print("looking for segments; Ctrl-C to stop", flush=True)
    return ETLWatcher.configured(config.etl, ETLJob(config)).run(stop)


if __name__ == "__main__":
    sys.exit(main())

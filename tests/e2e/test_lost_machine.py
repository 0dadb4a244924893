"""A machine is gone, with its disk: what it had shipped is in the lake, the rest is in coverage.

Real processes. What must be there is what the machine itself said was there, on the test's disk
and in the machine's own time: no test waits for a length of time and hopes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import pytest

import oracle
from losses import assert_every_loss_is_known, sent_by_connection
from machines import Machine, archived_lines
from processes import simulator
from s3_servers import S3Server

SHIP_INTERVAL = 0.3
LEASE = 1.0
ENOUGH = 500  # frames that are there


@pytest.fixture(params=["moto", "radosgw"])
def server(request) -> S3Server:
    return request.getfixturevalue(request.param)


@contextmanager
def captured_by(*machines: Machine) -> Iterator[None]:
    try:
        yield
    finally:
        for machine in machines:
            with suppress(ProcessLookupError):
                machine.end()


def lake_holds(machine: Machine, storage, journal: Path) -> tuple[list[str], dict]:
    """Run the ETL; hold lake and coverage against the journal; return the frames that are kept."""
    machine.run("fluxforge-etl", "--once")
    lines = list(archived_lines(storage))
    holes = json.loads(machine.run("fluxforge", "gaps", "--json").stdout)
    lost = assert_every_loss_is_known(journal, lines, holes)
    frames = [line[line.index('"data":') + 7 : -1] for line in lines if '"data":' in line]
    assert storage.list_files("raw/ready", recursive=True) == []
    return frames, lost


def test_what_a_lost_machine_had_shipped_is_in_the_lake_and_the_rest_is_known(server, tmp_path):
    bucket, journal = server.bucket(), tmp_path / "journal.ndjson"
    storage, place = server.storage(bucket=bucket), server.config(bucket)
    with simulator("--rate", "1000", "--products", "BTC-USD", journal=journal) as (url, exchange):
        first, other = (
            Machine(
                tmp_path,
                name,
                url=url,
                storage=place,
                ship_interval=SHIP_INTERVAL,
                adopt_after=LEASE,
            )
            for name in ("w1", "w2")
        )
        with captured_by(first, other):
            first.start()
            first.wait_until(lambda: first.must_be_there() > ENOUGH)
            first.lose()
            other.start()
            other.wait_until(lambda: storage.list_files("raw/ready/coinbase", "*_w1.ndjson"))
            other.stop()
        assert exchange.stop() == 0
    frames, lost = lake_holds(other, storage, journal)
    must = set(islice(oracle.journal_frames(journal, conn=1), first.must_be_there()))
    assert must <= set(frames)
    assert lost["with an end"] < len(sent_by_connection(journal)[1].sent) - ENOUGH

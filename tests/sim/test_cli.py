"""``fluxforge sim`` as a process of its own."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from fluxforge.sim import summarise
from sim.recorder import Recorder, recording

COMMAND = [
    sys.executable,
    "-c",
    "import typer; from fluxforge.cli.sim import sim; typer.run(sim)",
]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_serves_and_stops_cleanly(tmp_path: Path, number: int) -> None:
    journal = tmp_path / "sent.ndjson"
    arguments = ("--products", "BTC-USD,ETH-USD", "--rate", "200", "--journal", str(journal))
    with start("--port", "0", *arguments) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.split()[0]
        assert re.fullmatch(r"ws://127\.0\.0\.1:\d+", url)
        assert f"fluxforge ingest --url {url}" in line

        async def scenario() -> int:
            async with recording(url) as client:
                await client.subscribe("level2", "BTC-USD", "ETH-USD", "SOL-USD")
                await client.until(lambda frames: len(frames) > 20)
                process.send_signal(number)
                await client.task
                return len(client.frames)

        received = asyncio.run(scenario())
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    assert summarise(journal).frames == received


def test_a_scenario_and_a_control_port(tmp_path: Path) -> None:
    scenario, journal = tmp_path / "scenario.json", tmp_path / "sent.ndjson"
    scenario.write_text('{"faults":[{"fault":"disconnect","after_frames":10}]}')
    options = ("--scenario", str(scenario), "--control-port", "0", "--journal", str(journal))
    with start("--rate", "200", *options) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        said = process.stdout.readline()
        port = int(said.removeprefix("control port 127.0.0.1:"))

        async def client() -> int:
            recorder = Recorder(await connect(url, compression=None))
            await recorder.subscribe("level2", "BTC-USD")
            await recorder.task
            return len(recorder.frames)

        assert asyncio.run(client()) == 10
        with socket.create_connection(("127.0.0.1", port)) as control:
            control.sendall(b'{"show":"faults"}\n')
            answer = json.loads(control.makefile().readline())
        assert answer["faults"] == {"1": {"fault": "disconnect", "after_frames": 10}}
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


def test_a_port_in_use_is_said_in_one_line_and_costs_no_journal(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"
    journal.write_text("precious")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start("--port", str(port), "--journal", str(journal)) as process:
            out, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert out == ""
    assert err.count("\n") == 1
    assert f"127.0.0.1:{port}" in err
    assert "in use" in err
    assert journal.read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--products", ","), "product"),
        (("--rate", "-1"), "rate"),
        (("--rate", "nan"), "rate"),
        (("--scenario", "/nonexistent.yaml"), "cannot read the scenario /nonexistent.yaml"),
        (("--journal", "/nonexistent/sent.ndjson"), "/nonexistent/sent.ndjson"),
    ],
)
def test_bad_options_exit_with_2_and_no_traceback(arguments: tuple[str, ...], named: str) -> None:
    with start(*arguments) as process:
        _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert named in err
    assert "Traceback" not in err

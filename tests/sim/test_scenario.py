"""Scenario files: what they say is done; what is wrong in them is told, with its line."""

import json
import re
from pathlib import Path

import pytest

from fluxforge.errors import ConfigError
from fluxforge.sim import load_scenario
from fluxforge.sim.faults import AnyFault, Disconnect, Lose
from sim.misbehaving import capture, frames, numbers, withheld

EXAMPLE = Path(__file__).parents[2] / "examples" / "scenario.yaml"


def written(directory: Path, text: str) -> Path:
    path = directory / "scenario.yaml"
    path.write_text(text)
    return path


def test_a_scenario_is_done(tmp_path: Path) -> None:
    scenario = written(tmp_path, "faults:\n  - {fault: lose, after_frames: 20, frames: 3}\n")
    journal = tmp_path / "sent.ndjson"
    capture(journal, *load_scenario(scenario), until=frames(100))
    assert numbers(line.withheld for line in withheld(journal)) == [20, 21, 22]


def test_yaml_and_json_are_the_same(tmp_path: Path) -> None:
    told = [{"fault": "lose", "share": 0.5}, {"fault": "disconnect", "every": 2, "connections": 1}]
    expected: list[AnyFault] = [Lose(share=0.5), Disconnect(every=2, connections=(1,))]
    assert load_scenario(written(tmp_path, json.dumps({"faults": told}))) == expected
    yaml = "faults:\n- fault: lose\n  share: 0.5\n- {fault: disconnect, every: 2, connections: 1}\n"
    assert load_scenario(written(tmp_path, yaml)) == expected


def test_the_example_is_a_scenario_of_many_faults() -> None:
    faults = load_scenario(EXAMPLE)
    assert len({fault.fault for fault in faults}) > 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold one key, faults, and in it a list"),
        ("faults: lose", "must hold one key, faults"),
        ("fault: [{fault: lose}]", "must hold one key, faults"),
        ("faults: [lose]", ":1: a fault is a mapping"),
        ("faults:\n- {fault: lose}\n- {fault: lost}\n", ":3: fault: there is no fault 'lost'"),
        ("faults:\n- {fault: lose, fault: burst, rate: 1}\n", ":2: fault is given twice"),
        ("faults:\n- {fault: lose, share: 3}\n", ":2: lose.share: should be less than or equal"),
        ("faults: [", "is not valid YAML or JSON: "),
        ("faults: [!!python/object:os.system {}]", "is not valid YAML or JSON: "),
        ("\x00", "is not valid YAML or JSON: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_scenario(written(tmp_path, text))


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = "faults:\n- {fault: burst}\n- {fault: lose}\n- {fault: lose, share: 3, frames: no}\n"
    with pytest.raises(ConfigError) as error:
        load_scenario(written(tmp_path, text))
    lines = str(error.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["burst.rate", "lose.share", "lose.frames"]
    assert [re.search(r":(\d+):", line)[1] for line in lines] == ["2", "4", "4"]  # type: ignore[index]


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the scenario .*nowhere.*No such file"):
        load_scenario(tmp_path / "nowhere")

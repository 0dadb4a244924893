"""A scenario: a file that says how the exchange is to misbehave, and when.

    # YAML or JSON; the faults and their fields are those of fluxforge.sim.faults
    faults:
      - {fault: lose, share: 0.01}
      - {fault: half_open, after_seconds: 30, connections: 1}
      - {fault: disconnect, at: 60, every: 2, times: 10}

It is checked as a whole before anything is served: every problem is told, each with its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from fluxforge.errors import ConfigError
from fluxforge.sim.faults import AnyFault, read_fault


def load_scenario(path: Path | str) -> list[AnyFault]:
    """Read a scenario file.

    Raises:
        ConfigError: It cannot be read, or is no scenario; one line per problem.
    """
    path = Path(path)
    problems: list[str] = []
    faults: list[AnyFault] = []
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        for node in _items(loader.get_single_node(), path):
            place = f"{path}:{node.start_mark.line + 1}"
            problems += [f"{place}: {name} is given twice" for name in _repeated(node)]
            try:
                faults.append(read_fault(loader.construct_object(node, deep=True)))
            except ValueError as error:
                problems += [f"{place}: {line}" for line in str(error).splitlines()]
    except OSError as error:
        raise ConfigError(f"cannot read the scenario {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"the scenario {path} is not valid YAML or JSON: {said}") from error
    if problems:
        raise ConfigError("\n".join(problems))
    return faults


def _items(root: yaml.Node | None, path: Path) -> Iterator[yaml.Node]:
    """Yield the faults' nodes."""
    match root:
        case yaml.MappingNode(
            value=[(yaml.ScalarNode(value="faults"), yaml.SequenceNode() as list_)]
        ):
            yield from list_.value
        case _:
            raise ConfigError(
                f"the scenario {path} must hold one key, faults, and in it a list of faults"
            )


def _repeated(node: yaml.Node) -> set[str]:
    if not isinstance(node, yaml.MappingNode):
        return set()
    names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    return {name for name in names if names.count(name) > 1}

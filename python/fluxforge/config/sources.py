"""Where settings come from: a YAML file, the environment, flags. Each remembers its place.

A source yields its settings by dotted key and its problems as finished lines. It knows which
keys exist and nothing about which values are right.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fluxforge.config.schema import (
    FIELDS,
    SECTIONS,
    is_list,
    may_be_null,
    nearest,
    siblings,
)
from fluxforge.errors import ConfigError

ENVIRONMENT_PREFIX = "FLUXFORGE__"


@dataclass(frozen=True)
class Setting:
    """One value and the place that set it."""

    value: Any
    where: str


@dataclass(frozen=True)
class Source:
    """What one source says."""

    settings: dict[str, Setting] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


# -- YAML -------------------------------------------------------------------------------------


def from_yaml(path: Path) -> Source:
    """Read a YAML file. Raises ConfigError if it cannot be read or is no YAML."""
    source = Source()
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise ConfigError(f"{path}: could not read the configuration: {error.strerror}") from error
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is not None:
            _mapping(loader, root, "", path, source)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(_yaml_problem(path, error)) from None  # its text may quote a secret
    return source


def _mapping(
    loader: yaml.SafeLoader, node: yaml.Node, section: str, path: Path, source: Source
) -> None:
    if not isinstance(node, yaml.MappingNode):
        if loader.construct_object(node) is not None:
            source.problems.append(f"{_place(path, node)}: {_not_a_section(section)}")
        return
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        name = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
        key = f"{section}.{name}" if section else name
        where = _place(path, key_node)
        if name in lines:
            source.problems.append(f"{where}: {key} is set twice, first in line {lines[name]}")
            continue
        lines[name] = key_node.start_mark.line + 1
        if key in SECTIONS:
            _mapping(loader, value_node, key, path, source)
        elif key in FIELDS:
            value = loader.construct_object(value_node, deep=True)
            source.settings[key] = Setting(value, where)
        else:
            source.problems.append(f"{where}: {_unknown(key)}")


def _place(path: Path, node: yaml.Node) -> str:
    return f"{path}:{node.start_mark.line + 1}"


def _yaml_problem(path: Path, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"{path}:{mark.line + 1}" if mark else str(path)
    match error:
        case yaml.composer.ComposerError():
            said = "expected one document; a value that begins with * or & must be quoted"
        case yaml.constructor.ConstructorError():
            said = "a value that begins with ! must be quoted"
        case yaml.MarkedYAMLError():
            said = str(error.problem)
        case yaml.reader.ReaderError():
            said = f"a control character at position {error.position}"
        case _:
            said = "nested too deeply"
    return f"{place}: not valid YAML: {said}"


# -- environment ------------------------------------------------------------------------------


def from_environment(environ: Mapping[str, str]) -> Source:
    """Read ``FLUXFORGE__SECTION__KEY=value``; lists as JSON or with commas, null as ``null``."""
    source = Source()
    for name, text in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX):
            if problem := _one_underscore(name):
                source.problems.append(problem)
            continue
        key = name.removeprefix(ENVIRONMENT_PREFIX).replace("__", ".").lower()
        where = f"environment {name}"
        if key in SECTIONS:
            source.problems.append(f"{where}: {_not_a_section(key, as_variable=True)}")
        elif key not in FIELDS or name != variable(key):
            source.problems.append(f"{where}: {_unknown(key, as_variable=True)}")
        else:
            source.settings[key] = Setting(_from_text(key, text), where)
    return source


def variable(key: str) -> str:
    """Return the name of the environment variable that sets a key."""
    return ENVIRONMENT_PREFIX + key.replace(".", "__").upper()


def _one_underscore(name: str) -> str | None:
    """Catch FLUXFORGE_STORAGE__BACKEND, which would otherwise be ignored in silence."""
    if not name.startswith("FLUXFORGE_") or "__" not in name:
        return None
    key = name.removeprefix("FLUXFORGE_").replace("__", ".").lower()
    if key not in FIELDS:
        return None
    return f"environment {name}: unknown; did you mean {variable(key)}?"


def _from_text(key: str, text: str) -> Any:
    if may_be_null(key) and text in {"", "null"}:
        return None
    if is_list(key):
        if text.lstrip().startswith("["):
            try:
                return json.loads(text)
            except ValueError:
                return text  # the model will say that this is no list
        return [part.strip() for part in text.split(",")]
    return text


# -- flags ------------------------------------------------------------------------------------


def from_flags(overrides: Mapping[str, Any], names: Mapping[str, str]) -> Source:
    """Read nested overrides. None means that the flag was not given.

    Args:
        overrides: Nested as the configuration is.
        names: The flag that sets a dotted key, for provenance.
    """
    source = Source()
    for key, value in _flat(overrides):
        where = names.get(key, "command line")
        if key not in FIELDS:
            source.problems.append(f"{where}: {_unknown(key)}")
        elif key in SECTIONS:
            source.problems.append(f"{where}: {_not_a_section(key)}")
        else:
            source.settings[key] = Setting(value, where)
    return source


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{key}.")
        elif value is not None:
            yield key, value


# -- what is wrong ----------------------------------------------------------------------------


def _unknown(key: str, *, as_variable: bool = False) -> str:
    spell = variable if as_variable else str
    if guess := nearest(key):
        return f"unknown key {key}; did you mean {spell(guess)}?"
    if valid := siblings(key):
        return f"unknown key {key}; valid here: {', '.join(valid)}"
    return f"unknown key {key}"


def _not_a_section(key: str, *, as_variable: bool = False) -> str:
    valid = siblings(f"{key}.x") if key else siblings("x")
    if as_variable:
        return f"{key} is a section; set its keys, e.g. {variable(f'{key}.{valid[0]}')}"
    return f"{key or 'the configuration'} must hold keys: {', '.join(valid)}"

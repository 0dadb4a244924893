"""Every key of the configuration by its dotted name, read off the models."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from fluxforge.config.models import FluxForgeConfig


def _walk(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        yield key, field
        if section := _section(field):
            yield from _walk(section, f"{key}.")


def _section(field: FieldInfo) -> type[BaseModel] | None:
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


FIELDS: dict[str, FieldInfo] = dict(_walk(FluxForgeConfig))
"""Every section and every value, in the order of the models."""

SECTIONS: frozenset[str] = frozenset(key for key, field in FIELDS.items() if _section(field))
"""The keys that hold other keys."""


def is_secret(key: str) -> bool:
    """Say whether a key's value must never be shown."""
    return key in FIELDS and SecretStr in _kinds(key)


def is_list(key: str) -> bool:
    """Say whether a key takes several values."""
    return get_origin(FIELDS[key].annotation) is tuple


def may_be_null(key: str) -> bool:
    """Say whether a key may be left without a value."""
    return type(None) in _kinds(key)


def _kinds(key: str) -> tuple[object, ...]:
    annotation = FIELDS[key].annotation
    return (annotation, *get_args(annotation))


def nearest(key: str) -> str | None:
    """Return the valid key that was most likely meant: beside the wrong one, or anywhere."""
    parent, _, name = key.rpartition(".")
    beside = {each.rpartition(".")[2]: each for each in FIELDS if each.rpartition(".")[0] == parent}
    anywhere = {each.rpartition(".")[2]: each for each in reversed(FIELDS)}
    for candidates, cutoff in ((beside, 0.6), (anywhere, 0.8)):
        if match := difflib.get_close_matches(name, candidates, n=1, cutoff=cutoff):
            return candidates[match[0]]
    return next(iter(difflib.get_close_matches(key, FIELDS, n=1, cutoff=0.8)), None)


def siblings(key: str) -> list[str]:
    """Return the valid names beside a wrong one."""
    parent = key.rpartition(".")[0]
    return [each.rpartition(".")[2] for each in FIELDS if each.rpartition(".")[0] == parent]

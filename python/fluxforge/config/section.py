"""What every section of the configuration is, and what several of them may hold."""

from __future__ import annotations

from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo, field_validator


class Section(BaseModel):
    """Unchangeable, knows its keys, and repeats no value that may be a secret."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # an input may be a secret
        allow_inf_nan=False,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and {int, float} & {annotation, *get_args(annotation)}:
            raise ValueError(f"must be a number, not {value}")
        return value


def address(*schemes: str) -> AfterValidator:
    """Demand an address of one of these schemes that names a host and carries no password."""

    def check(value: str) -> str:
        allowed = " or ".join(f"{scheme}://" for scheme in schemes)
        try:
            parts = urlsplit(value)
            has_host = bool(parts.hostname) and parts.port != 0  # .port raises if it is no number
            (parts.hostname or "").encode("idna")  # raises where no resolver could ask for it
        except ValueError:
            has_host = False
        if not has_host or parts.scheme not in schemes:
            # The value is not repeated: an address may carry a password.
            raise ValueError(f"must be an address that begins with {allowed} and names a host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not carry a user name or password; use the keys made for them")
        return value

    return AfterValidator(check)


def distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Demand at least one name, and no name twice."""
    if not values:
        raise ValueError("must name at least one")
    for value in values:
        if not value.strip() or not value.isprintable():
            raise ValueError(f"holds a name that is empty or unprintable: {value!r}")
        if values.count(value) > 1:
            raise ValueError(f"names {value!r} twice")
    return values

"""One machine's share of the products: ``2/3`` is the second of three."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_SHARD = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")


def parse_shard(text: str) -> tuple[int, int]:
    """Read ``i/n`` to its two numbers.

    Raises:
        ValueError: It is not of that form, or not one of the n.
    """
    numbers = _SHARD.fullmatch(text)
    if numbers is None or int(numbers[1]) > int(numbers[2]):
        raise ValueError(f"must be i/n with i from 1 to n, like 1/3; it is {text!r}")
    return int(numbers[1]), int(numbers[2])


def _checked(text: str) -> str:
    parse_shard(text)
    return text


ShardText = Annotated[str, AfterValidator(_checked)]

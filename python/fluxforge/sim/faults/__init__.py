"""Every way in which the simulated exchange can misbehave, one family per module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter, ValidationError

from fluxforge.sim.faults.answers import ErrorFrame, LateAck, LimitLevel2, Refuse
from fluxforge.sim.faults.connecting import Disconnect, RefuseConnections, SlowAccept
from fluxforge.sim.faults.contents import AddField, RemoveField, RetypeField, UnsortedSnapshots
from fluxforge.sim.faults.fault import Fault
from fluxforge.sim.faults.numbering import Lose, Repeat, Restart
from fluxforge.sim.faults.pace import Burst, SharedFrames
from fluxforge.sim.faults.silence import HalfOpen, IdleChannel

AnyFault = (
    Lose
    | Repeat
    | Restart
    | LateAck
    | Refuse
    | LimitLevel2
    | ErrorFrame
    | AddField
    | RemoveField
    | RetypeField
    | UnsortedSnapshots
    | SharedFrames
    | IdleChannel
    | HalfOpen
    | SlowAccept
    | RefuseConnections
    | Disconnect
    | Burst
)
_NAMES = ", ".join(kind.model_fields["fault"].default for kind in get_args(AnyFault))
_ADAPTER: TypeAdapter[AnyFault] = TypeAdapter(Annotated[AnyFault, Field(discriminator="fault")])


def read_fault(fields: Any) -> AnyFault:
    """Make a fault from its fields, as a scenario has them: ``{"fault": "lose", "frames": 3}``.

    Raises:
        ValueError: What is wrong with them, one line per problem.
    """
    if not isinstance(fields, Mapping):
        raise ValueError(f"a fault is a mapping, like {{fault: lose, frames: 3}}, not {fields!r}")  # noqa: TRY004 (what a file holds is a value)
    try:
        return _ADAPTER.validate_python(fields)
    except ValidationError as error:
        raise ValueError("\n".join(_problems(error))) from None


def _problems(error: ValidationError) -> Iterator[str]:
    for detail in error.errors(include_url=False):
        # The first part of a place is the fault's name.
        place = ".".join(str(part) for part in detail["loc"])
        value = detail["input"]
        match detail["type"]:
            case "union_tag_not_found":
                yield f"fault: is missing; there are {_NAMES}"
            case "union_tag_invalid":
                yield f"fault: there is no fault {value['fault']!r}; there are {_NAMES}"
            case "extra_forbidden":
                yield f"{place}: there is no such key"
            case "missing":
                yield f"{place}: is missing"
            case "value_error":
                yield f"{place}: {detail['ctx']['error']}"
            case _:
                said = detail["msg"].replace("Input should", "should")
                shown = f", not {value!r}" if isinstance(value, str | int | float) else ""
                yield f"{place}: {said}{shown}"


__all__ = [
    "AddField",
    "AnyFault",
    "Burst",
    "Disconnect",
    "ErrorFrame",
    "Fault",
    "HalfOpen",
    "IdleChannel",
    "LateAck",
    "LimitLevel2",
    "Lose",
    "Refuse",
    "RefuseConnections",
    "RemoveField",
    "Repeat",
    "Restart",
    "RetypeField",
    "SharedFrames",
    "SlowAccept",
    "UnsortedSnapshots",
    "read_fault",
]

"""The market in a hurry: more events than usual, and more of them in a frame."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fluxforge.sim.faults.fault import Fault


class Burst(Fault):
    """Let the market move at another rate.

    Attributes:
        rate: Market events per second; 0: as many as clients take.
    """

    fault: Literal["burst"] = "burst"
    rate: float = Field(ge=0, allow_inf_nan=False)


class SharedFrames(Fault):
    """Put the level2 updates of several products into one frame.

    Attributes:
        products: Of how many, at most.
    """

    fault: Literal["shared_frames"] = "shared_frames"
    products: int = Field(5, ge=2)

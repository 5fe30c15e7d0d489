"""`mlplatform.Notify`: who is told what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlplatform.spec.station import StationSpec

Event = Literal["success", "gate_failed", "drift", "failure"]


class NotifySpec(StationSpec):
    """Tells people through a connection of the profile, once per event."""

    events: list[Event] = Field(
        default=["success", "gate_failed", "drift", "failure"],
        examples=[["gate_failed", "failure"]],
        description="What people are told of.",
    )
    connection: str = Field(default="notifications", examples=["on_call"], description="A connection of the profile.")

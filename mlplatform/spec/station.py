"""What every station's spec has: a name, words for people, owners."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

NAME = "[a-z][a-z0-9_]{0,62}"


def check_name(value: str) -> str:
    """`value`, if it is a name. Raises ValueError."""
    if not re.fullmatch(NAME, value):
        raise ValueError(f"'{value}' is no name; expected a lower-case letter, then at most 62 of a-z, 0-9, _")
    return value


Name = Annotated[str, AfterValidator(check_name)]
"""A lower-case identifier: safe as a table, file, route and asset name."""


class Strict(BaseModel):
    """A part of the YAML: an unknown key is an error, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StationSpec(Strict):
    """What every station has."""

    name: Name = Field(description="Name within the system; the asset key is <system>/<name>.")
    description: str = Field(
        default="",
        examples=["Daily closing prices of twenty companies."],
        description="One or two sentences for people; shown in the UI.",
    )
    owners: list[str] = Field(
        default_factory=list, examples=[["team:data", "ada@example.org"]], description="team:NAME or an e-mail address."
    )

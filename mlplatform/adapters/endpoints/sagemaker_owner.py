"""Whose an endpoint on SageMaker is: its tags say which installation made it, by the address of its object store.

Names are an account's, installations are many: two with one prefix and a system of one name would take each other's endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlplatform.adapters.endpoints.sagemaker_requests import ENDPOINT, OWNER
from mlplatform.errors import ConflictError

Tags = Callable[[str], Mapping[str, str]]
"""Of a thing by its ARN."""


class Ownership:
    """Of the installation whose objects are at `owner()`; each endpoint's tags are asked for once a process."""

    def __init__(self, owner: Callable[[], str], tags: Tags) -> None:
        self._owner = owner
        self._tags = tags
        self._ours: set[tuple[str, Any]] = set()

    def is_ours(self, told: Mapping[str, Any]) -> bool:
        """Whether the endpoint that DescribeEndpoint told of is. One without an owner was made by an earlier release."""
        made = (told["EndpointArn"], told["CreationTime"])
        if made in self._ours:
            return True
        tags = self._tags(told["EndpointArn"])
        if ENDPOINT not in tags or tags.get(OWNER, self._owner()) != self._owner():
            return False
        self._ours.add(made)
        return True

    def check(self, told: Mapping[str, Any] | None) -> None:
        """Raises ConflictError where the endpoint is another's."""
        if told is None or self.is_ours(told):
            return
        whose = self._tags(told["EndpointArn"]).get(OWNER)
        theirs = f"is of the installation whose objects are at '{whose}'" if whose else "was not made by this platform"
        raise ConflictError(
            f"SageMaker's endpoint '{told['EndpointName']}' {theirs}; the objects here are at '{self._owner()}'.",
            next_step="Set a name_prefix of its own in the connection of each installation that shares the account.",
        )

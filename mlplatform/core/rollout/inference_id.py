"""Inference ids: ``<endpoint>.g<generation>.<variant>.<uuid>``, from which a prediction's lineage follows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlplatform.errors import DataError

_ID = re.compile(
    r"(?P<endpoint>[a-z][a-z0-9_]*)\.g(?P<generation>[1-9]\d*)\.(?P<variant>[a-z][a-z0-9_]*)\.(?P<uuid>[0-9a-f-]{36})"
)


@dataclass(frozen=True)
class InferenceId:
    """An inference id taken apart."""

    endpoint: str
    generation: int
    variant: str
    uuid: str

    def __str__(self) -> str:
        return f"{self.endpoint}.g{self.generation}.{self.variant}.{self.uuid}"


def parse_inference_id(text: str) -> InferenceId:
    """Read an inference id. Raises DataError for what is none."""
    match = _ID.fullmatch(text)
    if match is None:
        raise DataError(
            f"'{text[:120]}' is no inference id; expected <endpoint>.g<generation>.<variant>.<uuid>.",
            next_step="Copy 'inference_id' from the answer, or its header x-inference-id.",
        )
    return InferenceId(match["endpoint"], int(match["generation"]), match["variant"], match["uuid"])

"""A deployment record as environment variables of the container that serves it.

SageMaker takes values of 1,024 characters at most, so that the record's JSON is cut: ``MLPLATFORM_DEPLOYMENT_1``, ….
"""

from __future__ import annotations

from collections.abc import Mapping

VARIABLE = "MLPLATFORM_DEPLOYMENT"
PIECE_CHARACTERS = 1000


def as_variables(text: str) -> dict[str, str]:
    """The variables that carry `text`."""
    pieces = [text[at : at + PIECE_CHARACTERS] for at in range(0, len(text), PIECE_CHARACTERS)]
    return {f"{VARIABLE}_{number}": piece for number, piece in enumerate(pieces, 1)}


def of_variables(env: Mapping[str, str]) -> str:
    """The text that `env` carries, or ""."""
    pieces: list[str] = []
    while (piece := env.get(f"{VARIABLE}_{len(pieces) + 1}")) is not None:
        pieces.append(piece)
    return "".join(pieces)

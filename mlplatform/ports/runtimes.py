"""Runtimes: load a model package and predict, the same code in the gate, the monitor, batch scoring and serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from mlplatform.core.packages.manifest import Manifest


@dataclass(frozen=True)
class Prediction:
    """One answer: the value (a number, or the class's label), class probabilities by label, and flags such as ``unseen:sector``."""

    value: float | str
    probabilities: Mapping[str, float] | None = None
    flags: tuple[str, ...] = ()


class LoadedModel(Protocol):
    """A model in memory; safe to call from several threads."""

    @property
    def manifest(self) -> Manifest: ...

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        """Answers for rows as a request carries them (the hot path: no pandas, no DMatrix).

        Raises:
            DataError: a row does not fit the signature; names the row (from 1), field, expectation and finding.
        """
        ...

    def predict_table(self, table: pa.Table) -> np.ndarray:
        """One value a row: the number (regression), P(second class) (binary), or the class's index (multiclass), float64."""
        ...

    def score_table(self, table: pa.Table) -> np.ndarray:
        """All a row's scores, float64: the number (n), or the probability of each class (n × classes)."""
        ...


class Runtimes(Protocol):
    """Loads packages."""

    def load(self, package: Path, *, digest: str | None = None, masked: bool = False) -> LoadedModel:
        """The model of the package at `package`, checked against its hashes and warmed up.

        With `masked` its errors tell no value of a row, as those of a model with a personal input never do.

        Raises:
            StateError: the package is damaged, or of another digest.
        """
        ...

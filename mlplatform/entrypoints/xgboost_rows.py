"""Rows as XGBoost takes them: matrix, labels, and which columns are categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlplatform.core.features.columns import column, numbers
from mlplatform.core.features.encoder import Encoder
from mlplatform.core.features.fitted import FittedField, fit
from mlplatform.core.packages.manifest import InputField, Task
from mlplatform.core.training.hosts import ALONE, Hosts, union
from mlplatform.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

MAX_NATIVE_CATEGORIES = 256
"""A feature with more categories is split by its codes' order: sets of so many make trees large and slow to convert."""


@dataclass(frozen=True)
class Rows:
    """Encoded rows with their labels (a class's index, for classification)."""

    matrix: npt.NDArray[np.float32]
    labels: npt.NDArray[np.float64]
    types: tuple[str, ...]

    def dmatrix(self, threads: int) -> Any:
        import xgboost

        return xgboost.DMatrix(
            self.matrix, label=self.labels, feature_types=list(self.types), enable_categorical=True, nthread=threads
        )


def fit_rows(
    inputs: Sequence[InputField], table: pa.Table, hosts: Hosts = ALONE
) -> tuple[tuple[FittedField, ...], Encoder]:
    """Transforms fitted on all hosts' rows, of which `table` holds this one's, and the encoder that applies them."""
    fitted = fit(inputs, table, hosts)
    return fitted, Encoder(inputs, fitted)


def encode_rows(
    encoder: Encoder, fitted: Sequence[FittedField], table: pa.Table, target: str, classes: Sequence[str]
) -> Rows:
    """`table` encoded, with labels of `target`."""
    types = tuple(
        "c" if field.categories is not None and len(field.categories) <= MAX_NATIVE_CATEGORIES else "q"
        for field in fitted
        for _ in field.columns
    )
    return Rows(encoder.table(table).matrix, labels_of(table, target, classes), types)


def labels_of(table: pa.Table, target: str, classes: Sequence[str]) -> npt.NDArray[np.float64]:
    """The target as float64: the number, or the index of its class. Raises DataError for a missing or infinite one."""
    if not classes:
        values = numbers(table, target)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise DataError(f"Row {bad[0] + 1}: target '{target}' is {values[bad[0]]}, expected a finite number.")
        return values
    index = {name: float(place) for place, name in enumerate(classes)}
    return np.array([index[class_name(value)] for value in column(table, target).to_pylist()])


def find_classes(task: Task, tables: Sequence[pa.Table], target: str, hosts: Hosts = ALONE) -> tuple[str, ...]:
    """Names of the target's classes over all tables of all hosts, in order; () for regression.

    Raises:
        DataError: a class is missing in a row, or there are fewer than two (binary: other than two).
    """
    if task == "regression":
        return ()
    own = {value for table in tables for value in column(table, target).unique().to_pylist()}
    for value in own - {None}:
        class_name(value)
    values: set[Any] = union(hosts, own)
    if None in values:
        raise DataError(f"Target '{target}' is missing in some rows; expected a class in each.")
    classes = tuple(class_name(value) for value in sorted(values))
    if len(classes) < 2 or (task == "binary" and len(classes) != 2):
        some = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
        raise DataError(
            f"Target '{target}' has {len(classes)} classes ({some}); task {task} expects {'2' if task == 'binary' else '2 or more'}.",
            next_step="Set the model's task, or change the query.",
        )
    return classes


def class_name(value: Any) -> str:
    """A class as answers name it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        raise DataError(
            f"The target has the value {value}; a class is text, a whole number or a boolean.", next_step="Cast it."
        )
    return str(value)

"""XGBoost itself, for models that do not convert to ONNX: `inplace_predict`, never a DMatrix a request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlplatform.errors import StateError

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlplatform.core.packages.manifest import Task


def load_scorer(path: Path, task: Task) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """A function from the input matrix to values (regression: n) or class probabilities (n × classes)."""
    import xgboost

    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(path)
    except xgboost.core.XGBoostError as error:
        raise StateError(f"'{path}' is no model that XGBoost loads: {str(error).splitlines()[0]}.") from error

    def score(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        values = booster.inplace_predict(matrix, validate_features=False)
        return np.column_stack([1 - values, values]) if task == "binary" else values

    return score

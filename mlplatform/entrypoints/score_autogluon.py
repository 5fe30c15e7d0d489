"""Serves a model that AutoGluon trained, in a process of its own. Packages carry this file as their `scorer.py`.

What `predictor.tar` holds are pickles: this runs in the container's environment only, after the package's hashes were
checked.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.core.features.fitted import read_transforms
from mlplatform.entrypoints.autogluon_frame import frame_of
from mlplatform.entrypoints.scorer import Score, serve

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PREDICTOR = "predictor.tar"


def load(package: Path) -> Score:
    """The predictor, with its models in memory; nothing of it stays on the disk."""
    tabular: Any = import_module("autogluon.tabular")
    fitted = read_transforms(package)
    with tempfile.TemporaryDirectory(prefix="predictor-") as folder:
        with tarfile.open(package / PREDICTOR) as archive:
            archive.extractall(folder, filter="data")
        predictor = tabular.TabularPredictor.load(folder, verbosity=0)
        predictor.persist(models="all")
    return lambda matrix: scores_of(predictor, matrix, fitted)


def scores_of(
    predictor: Any,
    matrix: npt.NDArray[np.float32],
    fitted: Any,
    *,
    classes: int | None = None,
    model: str | None = None,
) -> npt.NDArray[Any]:
    """Values, or a probability for each class's index; `model` asks another than the best.

    `classes`: how many there are, where training may not have met all; default: those it met.
    """
    frame = frame_of(matrix, fitted)
    if predictor.problem_type == "regression":
        values: npt.NDArray[Any] = predictor.predict(frame, model=model, as_pandas=False)
        return values
    shares = predictor.predict_proba(frame, model=model)
    places = range(classes) if classes else sorted(shares.columns)
    found: npt.NDArray[Any] = shares.reindex(columns=places, fill_value=0.0).to_numpy()
    return found


if __name__ == "__main__":
    sys.exit(serve(load))

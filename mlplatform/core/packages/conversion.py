"""XGBoost to ONNX, and whether both then say the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TOLERANCE = 1e-5
"""Largest difference accepted, relative to the larger of 1 and the original's own value."""


def write_onnx(booster: Any, path: Path, *, inputs: int) -> None:
    """Convert a booster (features unnamed or named ``f0 … fN``) whose only input is a float matrix called ``input``."""
    from onnxmltools.convert import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    # Without a name the graph gets a random one, and the same model another digest each time.
    converted = convert_xgboost(booster, name="model", initial_types=[("input", FloatTensorType([None, inputs]))])
    path.write_bytes(converted.SerializeToString())


def onnx_difference(path: Path, matrix: npt.NDArray[np.float32], expected: npt.NDArray[np.float64]) -> float:
    """max |ONNX − original| / max(1, |original|) over `matrix`; the original's output is one value or one row a row."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = np.asarray(session.run(None, {"input": matrix})[-1], dtype=np.float64)
    if expected.ndim == 1:
        found = found.reshape(len(matrix), -1)[:, -1]
    return float(np.max(np.abs(found - expected) / np.maximum(1.0, np.abs(expected)), initial=0.0))

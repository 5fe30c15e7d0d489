"""ONNX Runtime: the hot path (300 trees × depth 6, one row: about 7 µs).

One thread a call: rows of a request are few, and a server's parallelism is its worker processes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.errors import StateError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mlplatform.core.packages.manifest import Task


def load_scorer(path: Path, task: Task) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """A function from the input matrix to values (regression: n) or class probabilities (n × classes)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise StateError(f"'{path}' is no model that ONNX Runtime loads: {error}.") from error
    outputs = [session.get_outputs()[-1].name]
    run = session.run
    if task == "regression":
        return lambda matrix: run(outputs, {"input": matrix})[0].reshape(-1)
    return lambda matrix: run(outputs, {"input": matrix})[0]

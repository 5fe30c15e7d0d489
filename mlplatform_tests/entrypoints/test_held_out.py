"""What a training leaves of its held-out rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlplatform.entrypoints.package_files import write_held_out

ROWS = pa.table({"email": ["a@x", "b@x"], "age": [1, 2], "spent": [3.0, 4.0]})


def test_held_out_rows_stand_beside_their_predictions_without_personal_columns(tmp_path: Path) -> None:
    write_held_out(tmp_path, ROWS, np.array([3.5, 4.5]), (), without=("email", "not_there"))
    left = pq.read_table(tmp_path / "held_out.parquet")
    assert left.to_pylist() == [
        {"age": 1, "spent": 3.0, "_prediction": 3.5},
        {"age": 2, "spent": 4.0, "_prediction": 4.5},
    ]

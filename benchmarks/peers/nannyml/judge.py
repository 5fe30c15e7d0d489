"""NannyML's univariate drift by Jensen–Shannon, in a warm process: fitted on the reference before it is timed."""

from __future__ import annotations

import os
import time
from typing import Any

from benchmarks.measured import answer

frames: dict[str, Any] = {}
fitted: dict[str, Any] = {}


def load(table: str, parts: list[str]) -> dict[str, Any]:
    """Read Parquet into a frame."""
    import pandas as pd

    frames[table] = pd.concat([pd.read_parquet(p) for p in parts], ignore_index=True)
    return {"rows": len(frames[table])}


def fit() -> None:
    """Fit the calculator on the frame called ``reference``, one chunk."""
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # it reports its use to its makers otherwise
    import nannyml

    names = list(frames["reference"].columns)
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=names, continuous_methods=["jensen_shannon"], chunk_number=1
    )
    fitted["calculator"] = calculator.fit(frames["reference"])


def verdict(table: str) -> dict[str, Any]:
    """Judge the frame; the features whose distance is above 0.1."""
    start = time.perf_counter()
    found = fitted["calculator"].calculate(frames[table])
    seconds = time.perf_counter() - start
    table_ = found.filter(period="analysis").to_df()
    values = {c: float(table_[(c, "jensen_shannon", "value")].iloc[0]) for c in frames[table].columns}
    return {"seconds": seconds, "drifted": sorted(name for name, value in values.items() if value > 0.1)}


if __name__ == "__main__":
    answer({"load": load, "fit": fit, "verdict": verdict})

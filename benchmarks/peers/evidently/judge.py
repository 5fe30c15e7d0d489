"""Evidently's data drift preset with PSI, in a warm process; the frames are in memory before it is timed."""

from __future__ import annotations

import os
import time
from typing import Any

from benchmarks.measured import answer

frames: dict[str, Any] = {}


def load(table: str, parts: list[str]) -> dict[str, Any]:
    """Read Parquet into a frame."""
    import pandas as pd

    frames[table] = pd.concat([pd.read_parquet(p) for p in parts], ignore_index=True)
    return {"rows": len(frames[table])}


def verdict(table: str) -> dict[str, Any]:
    """Judge the frame against the one called ``reference``."""
    os.environ["DO_NOT_TRACK"] = "1"  # it reports its use to its makers otherwise
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = list(frames[table].columns)
    about = DataDefinition(numerical_columns=names)
    current = Dataset.from_pandas(frames[table], data_definition=about)
    reference = Dataset.from_pandas(frames["reference"], data_definition=about)
    start = time.perf_counter()
    preset = DataDriftPreset(num_method="psi", num_threshold=0.1)
    said = Report([preset]).run(current, reference).dict()
    seconds = time.perf_counter() - start
    values = {m["config"]["column"]: m["value"] for m in said["metrics"] if "column" in m.get("config", {})}
    return {"seconds": seconds, "drifted": sorted(name for name, value in values.items() if float(value) > 0.1)}


if __name__ == "__main__":
    answer({"load": load, "verdict": verdict})

"""AutoGluon's leaderboard: every model it fitted, as evidence of what was chosen from."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FILE = "leaderboard.csv"


def leaderboard(predictor: Any, held_out: pd.DataFrame, *, higher_is_better: bool) -> list[dict[str, Any]]:
    """One row a model, best on the held-out rows first: scores in the metric's own unit, seconds, layer.

    `score_val` is what it was chosen by; it is None for a model fitted again on all rows (``…_FULL``). `predict_s` is for
    all held-out rows. Seconds are of the model with those it stands on.
    """
    found = predictor.leaderboard(held_out, display=False)
    sign = 1.0 if higher_is_better else -1.0  # AutoGluon turns errors round, so that higher is always better
    return [
        {
            "model": str(row["model"]),
            "score_val": _number(sign * row["score_val"]),
            "score_held_out": _number(sign * row["score_test"]),
            "fit_s": _number(row["fit_time"], 3),
            "predict_s": _number(row["pred_time_test"], 4),
            "stack_level": int(row["stack_level"]),
            "chosen": bool(row["model"] == predictor.model_best),
        }
        for row in found.to_dict("records")
    ]


def write_leaderboard(directory: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write `leaderboard.csv`, which the tracker's page shows as a table."""
    with (directory / FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _number(value: float, digits: int = 6) -> float | None:
    return None if math.isnan(value) else round(float(value), digits)

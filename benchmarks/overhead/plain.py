"""The same work as one plain script: no Dagster, no MLflow, no Great Expectations, no warehouse, no job, no registry.

``python -m benchmarks.overhead.plain WORK FOLDER CSV …``: reads the CSV, takes the window, splits, searches and trains
with the very functions of the training container, converts to ONNX, and answers one row from the converted model.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.overhead import work as works
from benchmarks.overhead.work import WINDOW_DAYS, Work


def main(work: Work, folder: Path, files: list[str]) -> dict[str, Any]:
    """Do it; the rows used and the held-out R²."""
    import duckdb
    import numpy as np
    import onnxruntime
    import pyarrow as pa

    from mlplatform.core.packages.conversion import write_onnx
    from mlplatform.core.packages.manifest import InputField
    from mlplatform.core.training.metrics import measure_all
    from mlplatform.core.training.plan import Search, SearchRange, TrainingPlan
    from mlplatform.entrypoints.xgboost_rows import encode_rows, fit_rows
    from mlplatform.entrypoints.xgboost_search import check_parameters, predict, search, train

    inputs = (
        InputField("ticker_symbol", "varchar"),
        InputField("sector", "varchar"),
        InputField("change", "double", missing="keep"),
        *(InputField(name, "double") for name in work.extra),
    )
    asked = Search(
        work.trials, 1800.0, 0, {"eta": SearchRange(0.05, 0.3, True, ()), "max_depth": SearchRange(4, 8, False, ())}
    )
    plan = TrainingPlan(
        model="plain",
        task="regression",
        target="price",
        inputs=inputs,
        metric="r2",
        higher_is_better=True,
        snapshot={},
        split={},
        code_version="",
        window_column="trading_day",
        search=asked,
    )
    connection = duckdb.connect()
    listed = ", ".join(f"'{f}'" for f in files)
    connection.execute(f"CREATE TABLE bench_table AS SELECT * FROM read_csv([{listed}], header = true)")  # noqa: S608
    window = (
        "SELECT *, hash(trading_day) % 100 AS part FROM bench_table WHERE trading_day IN "  # noqa: S608 - a number
        f"(SELECT DISTINCT trading_day FROM bench_table ORDER BY 1 DESC LIMIT {WINDOW_DAYS})"
    )
    rows = connection.execute(window).to_arrow_table()
    part = rows.column("part").to_numpy()
    test, validation, training = (rows.filter(pa.array(m)) for m in (part < 15, (part >= 15) & (part < 30), part >= 30))

    parameters = check_parameters({"num_round": str(work.trees), "max_depth": "6", "eta": "0.1"}, "regression")
    fitted, encoder = fit_rows(inputs, training)
    encoded = [encode_rows(encoder, fitted, table, "price", ()) for table in (training, validation)]
    chosen = search(plan, asked, parameters, 0, encoded[0], encoded[1], lambda _: None)
    both = pa.concat_tables([training, validation])
    fitted, encoder = fit_rows(inputs, both)
    final, held_out = (encode_rows(encoder, fitted, table, "price", ()) for table in (both, test))
    booster, _ = train(chosen.parameters, "regression", 0, final, rounds=int(chosen.parameters["num_round"]))
    metrics = measure_all("regression", held_out.labels, predict(booster, held_out.matrix, "regression"))
    folder.mkdir(parents=True, exist_ok=True)
    booster.save_model(folder / "model.ubj")
    write_onnx(booster, folder / "model.onnx", inputs=len(inputs))
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    answer = session.run(None, {"input": np.asarray(held_out.matrix[:1])})[-1]
    return {"rows": rows.num_rows, "r2": metrics["r2"], "answer": float(np.ravel(answer)[0])}


if __name__ == "__main__":
    print(json.dumps(main(getattr(works, sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])))

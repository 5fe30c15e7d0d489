"""Small real model packages for tests: trained, converted and sealed as a training job does it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mlplatform.core.features.encoder import Encoder
from mlplatform.core.features.fitted import fit, write_transforms
from mlplatform.core.packages.conversion import write_onnx
from mlplatform.core.packages.manifest import InputField, Runtime, Signature, Task
from mlplatform.core.packages.writer import seal_package
from mlplatform_tests.containers.linear.scorer import WEIGHTS
from mlplatform_tests.containers.linear.scorer import fit as fit_linear

LINEAR = Path(__file__).parent / "containers" / "linear"

TICKERS = ("AAPL", "JPM", "XOM")
SECTORS = {"AAPL": "Information Technology", "JPM": "Financials", "XOM": "Energy"}
CLASSES = ("high", "low", "middle")
INPUTS = (
    InputField("ticker_symbol", "varchar"),
    InputField("sector", "varchar", unseen="refuse"),
    InputField("change", "double", missing="keep", minimum=-1000.0, maximum=1000.0),
)


def make_table(rows: int = 300, *, seed: int = 0) -> pa.Table:
    """Rows of three tickers: columns of `INPUTS`, and the targets `price`, `rises` (two classes) and `tier` (three)."""
    rng = np.random.default_rng(seed)
    ticker = rng.choice(TICKERS, rows)
    change = rng.normal(0, 2, rows)
    price = 50.0 + 40.0 * (ticker == "AAPL") + 5.0 * change + rng.normal(0, 1, rows)
    return pa.table(
        {
            "ticker_symbol": ticker,
            "sector": [SECTORS[t] for t in ticker],
            "change": pa.array(change, mask=rng.random(rows) < 0.05),
            "price": price,
            "rises": np.where(change > 0, "yes", "no"),
            "tier": np.where(price > 90, "high", np.where(price > 50, "middle", "low")),
        }
    )


def make_package(
    directory: Path,
    *,
    seed: int = 0,
    task: Task = "regression",
    runtime: Runtime = "onnx",
    model: str = "stock_prices.stock_model",
    inputs: Sequence[InputField] = INPUTS,
    rounds: int = 10,
    trained_to: str | None = "2020-06-23",
) -> str:
    """Train on `make_table(seed=seed)` and seal the package in `directory`; returns its digest. Another seed, another digest.

    With runtime ``process`` it is a model of `containers/linear`, else one of XGBoost's.
    """
    table = make_table(seed=seed)
    target, classes, settings = {
        "regression": ("price", (), {"objective": "reg:squarederror"}),
        "binary": ("rises", ("no", "yes"), {"objective": "binary:logistic"}),
        "multiclass": ("tier", CLASSES, {"objective": "multi:softprob", "num_class": 3}),
    }[task]
    values = table.column(target).to_pylist()
    labels = [classes.index(v) for v in values] if classes else values
    fitted = fit(inputs, table)
    matrix = Encoder(inputs, fitted).table(table).matrix
    directory.mkdir(parents=True, exist_ok=True)
    if runtime == "process":
        sizes = [len(field.categories or ()) for field in fitted]
        _write_linear(directory, fit_linear(matrix, np.array(labels), sizes, len(classes)))
    else:
        _write_trees(directory, matrix, labels, {"seed": seed, **settings}, rounds, onnx=runtime == "onnx")
    write_transforms(directory, fitted)
    return seal_package(
        directory,
        model=model,
        signature=Signature(tuple(inputs), task, target, classes),
        runtime=runtime,
        snapshot={"id": f"{seed:064x}", "manifest": "", "ledger_position": 1, "engine_version": None, "rows": 300},
        training_job=f"test-{seed}",
        code_version="0" * 40,
        trained_to=trained_to,
        parameters={"seed": str(seed)},
    ).digest


def _write_trees(
    directory: Path, matrix: Any, labels: Any, settings: dict[str, Any], rounds: int, *, onnx: bool
) -> None:
    import xgboost

    data = xgboost.DMatrix(matrix, label=labels)
    booster = xgboost.train({"max_depth": 4, "nthread": 1, **settings}, data, rounds)
    booster.save_model(directory / "model.ubj")
    if onnx:
        write_onnx(booster, directory / "model.onnx", inputs=matrix.shape[1])


def _write_linear(directory: Path, model: dict[str, Any]) -> None:
    (directory / WEIGHTS).write_text(json.dumps(model))
    for name in ("scorer.py", "requirements.lock"):
        shutil.copyfile(LINEAR / name, directory / name)

"""The XGBoost container's entrypoint, run as the contract says: folders and variables in, package or failure out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.core.features.fitted import read_transforms
from mlplatform.core.packages.manifest import InputField
from mlplatform.core.training.plan import FILE, TrainingPlan
from mlplatform.entrypoints.train_xgboost import main
from mlplatform.serving.served_model import example_row
from mlplatform_tests.packages import INPUTS, make_table

PLAN = TrainingPlan(
    model="s.m", task="regression", target="price", inputs=INPUTS, metric="rmse", higher_is_better=False,
    snapshot={"id": "x"}, split={"by": "time", "column": "day", "holdout": 0.1, "validation": 0.1}, code_version="c",
)  # fmt: skip


def _lay(
    root: Path, plan: Mapping[str, Any], *, rows: Mapping[str, pa.Table] | None = None, **parameters: str
) -> dict[str, str]:
    """The tree of a job under `root`; returns the environment that points into it."""
    tables = {name: make_table(200, seed=seed) for seed, name in enumerate(("train", "validation", "test"))}
    for name, table in {**tables, **(rows or {})}.items():
        (root / "input/data" / name).mkdir(parents=True)
        pq.write_table(table, root / "input/data" / name / "part-0.parquet")
    (root / "input/data/spec").mkdir()
    (root / "input/data/spec" / FILE).write_text(json.dumps(plan))
    (root / "input/config").mkdir()
    given = {"num_round": "15", "nthread": "1", **parameters}
    (root / "input/config/hyperparameters.json").write_text(json.dumps(given))
    return {
        "SM_MODEL_DIR": str(root / "model"),
        "SM_INPUT_DIR": str(root / "input"),
        "SM_INPUT_CONFIG_DIR": str(root / "input/config"),
        "SM_OUTPUT_DIR": str(root / "output"),
        "SM_OUTPUT_DATA_DIR": str(root / "output/data"),
        "TRAINING_JOB_NAME": "job-1",
    }


def _failure(root: Path) -> str:
    return (root / "output" / "failure").read_text()


def test_a_package_and_the_held_out_predictions_come_out(tmp_path: Path) -> None:
    assert main([], _lay(tmp_path, PLAN.to_json())) == 0
    model = PackageRuntimes().load(tmp_path / "model")
    assert (model.manifest.training_job, model.manifest.code_version, model.manifest.runtime) == ("job-1", "c", "onnx")
    held_out = pq.read_table(tmp_path / "output/data/held_out.parquet")
    assert held_out.column_names[-1] == "_prediction"
    truth, predicted = held_out.column("price").to_numpy(), held_out.column("_prediction").to_numpy()
    np.testing.assert_allclose(model.predict_table(held_out), predicted, rtol=1e-5)
    assert model.manifest.metrics["rmse"] == pytest.approx(float(np.sqrt(np.mean((truth - predicted) ** 2))))
    assert not (tmp_path / "output/failure").exists()


def test_the_same_inputs_give_the_same_package(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert main([], _lay(tmp_path / name, PLAN.to_json(), subsample="0.7", seed="3")) == 0
    one, two = (PackageRuntimes().load(tmp_path / name / "model").manifest.digest for name in ("one", "two"))
    assert one == two


def test_classes_come_out_with_a_probability_each(tmp_path: Path) -> None:
    plan = {**PLAN.to_json(), "task": "multiclass", "target": "tier", "metric": "log_loss"}
    assert main([], _lay(tmp_path, plan)) == 0
    held_out = pq.read_table(tmp_path / "output/data/held_out.parquet")
    assert held_out.column_names[-3:] == ["_probability_high", "_probability_low", "_probability_middle"]


def test_a_model_that_does_not_convert_is_served_by_xgboost(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([], _lay(tmp_path, PLAN.to_json(), booster="dart")) == 0
    model = PackageRuntimes().load(tmp_path / "model")
    assert model.manifest.runtime == "xgboost"
    assert "model.onnx" not in model.manifest.files
    assert "no ONNX for this model: KeyError" in capfd.readouterr().out
    assert model.predict_table(make_table(5)).shape == (5,)


def test_free_text_is_learnt_from_and_served(tmp_path: Path) -> None:
    said = {"AAPL": "Phones, and what goes into phones.", "JPM": "A bank.", "XOM": "Oil and gas"}
    rows = {}
    for seed, name in enumerate(("train", "validation", "test")):
        table = make_table(200, seed=seed)
        notes = [said[ticker] for ticker in table.column("ticker_symbol").to_pylist()]
        rows[name] = table.append_column("note", pa.array(notes))
    inputs = (InputField("note", "varchar", terms=4), InputField("change", "double", missing="keep"))
    plan = TrainingPlan.from_json({**PLAN.to_json(), "inputs": [vars(i) for i in inputs]})
    assert main([], _lay(tmp_path, plan.to_json(), rows=rows, num_round="60")) == 0
    model = PackageRuntimes().load(tmp_path / "model")
    assert model.manifest.runtime == "onnx"
    assert model.manifest.metrics["rmse"] < 5
    phones, bank, odd = model.predict_rows(
        [{"note": text, "change": 0.0} for text in ("PHONES – and what goes into PHONES!", "Bank", "A zoo")]
    )
    assert isinstance(phones.value, float)
    assert isinstance(bank.value, float)
    assert phones.value - bank.value == pytest.approx(40, abs=8)
    assert (phones.flags, odd.flags) == ((), ("unseen:note",))
    example = example_row(model.manifest.signature.inputs, read_transforms(tmp_path / "model"))
    assert model.predict_rows([example])[0].flags == ()
    profile = json.loads((tmp_path / "model/baseline.json").read_text())["features"][0]
    assert (profile["name"], profile["kind"], profile["minimum"], profile["maximum"]) == ("note", "text", 7, 34)


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        ({"num_rounds": "5"}, 3, "XGBoost's container has no hyperparameter 'num_rounds'. Did you mean 'num_round'?"),
        ({"max_depth": "six"}, 3, "Hyperparameter 'max_depth': expected a whole number, found 'six'."),
        ({"objective": "binary:hinge"}, 3, "Hyperparameter 'objective': expected one of reg:squarederror, "),
        ({"booster": "gblinear"}, 3, "Hyperparameter 'booster': expected one of gbtree, dart for regression, found"),
        ({"max_depth": "-4"}, 1, "XGBoostError: "),
    ],
)
def test_a_wrong_hyperparameter_is_named(tmp_path: Path, parameters: dict[str, str], code: int, message: str) -> None:
    assert main([], _lay(tmp_path, PLAN.to_json(), **parameters)) == code
    assert _failure(tmp_path).startswith(message)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("price", [None] + [1.0] * 199, "Row 1: target 'price' is nan, expected a finite number."),
        ("price", ["a"] * 200, "Column 'price' has type string, expected numbers."),
        ("change", [5000.0] * 200, "Row 1, field 'change': expected a finite number from -1000 to 1000, found 5000."),
        ("sector", [None] * 200, "Column 'sector' has type null, expected text."),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, column: str, values: list[Any], message: str) -> None:
    table = make_table(200)
    table = table.set_column(table.column_names.index(column), column, pa.array(values))
    assert main([], _lay(tmp_path, PLAN.to_json(), rows={"train": table})) == 5
    assert _failure(tmp_path).startswith(message)


def test_a_missing_column_channel_file_or_variable_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    inputs = (*INPUTS, InputField("volume", "double"))
    plan = TrainingPlan.from_json({**PLAN.to_json(), "inputs": [vars(i) for i in inputs]})
    assert main([], _lay(tmp_path / "a", plan.to_json())) == 5
    assert _failure(tmp_path / "a").startswith("The rows have no column 'volume'; they have: ticker_symbol, sector")

    env = _lay(tmp_path / "b", PLAN.to_json())
    (tmp_path / "b/input/data/test/part-0.parquet").unlink()
    assert main([], env) == 5
    assert _failure(tmp_path / "b").startswith("Channel 'test' holds no Parquet file.")
    (tmp_path / "b/input/data/test").rmdir()
    assert main([], env) == 6
    assert _failure(tmp_path / "b") == "The job has no channel 'test'; it has: spec, train, validation."

    env = _lay(tmp_path / "c", {})
    assert main([], env) == 5
    assert _failure(tmp_path / "c").startswith("'plan.json' is no training plan: KeyError(")
    (tmp_path / "c/input/data/spec" / FILE).write_text("{")
    assert main([], env) == 5
    assert _failure(tmp_path / "c").startswith("The job's 'plan.json' is not readable as JSON")

    del env["SM_MODEL_DIR"]
    assert main([], env) == 6
    assert "Environment variable SM_MODEL_DIR is not set. Run this as a training job." in capfd.readouterr().err


def test_as_a_process_its_exit_code_and_streams_are_the_contract_s(tmp_path: Path) -> None:
    env = _lay(tmp_path, PLAN.to_json(), max_dept="3")
    done = subprocess.run(
        [sys.executable, "-m", "mlplatform.entrypoints.train_xgboost"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "Did you mean 'max_depth'?" in done.stderr
    assert "Traceback" not in done.stderr

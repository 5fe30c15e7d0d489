"""AutoML by AutoGluon, chosen by `container: autogluon`: prices (a number), passengers (two classes), tiers (three)."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator

import dagster as dg
import pytest

import mlplatform
from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import JobError
from mlplatform_tests.stations.line import FEATURES, MODEL, Line
from mlplatform_tests.systems.automl import Refreshed, refreshed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NAME = "stock_prices.stock_model"


@pytest.fixture(scope="module")
def passengers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Refreshed]:
    with refreshed(tmp_path_factory.mktemp("automl")) as found:
        yield found


def test_survivors_are_told_and_the_leaderboard_is_a_table_on_the_assets_page(passengers: Refreshed) -> None:
    assert passengers.result.success
    metadata = passengers.metadata("survival_candidate")
    assert metadata["roc_auc"].value > 0.83
    board = metadata["leaderboard"]
    assert isinstance(board, dg.TableMetadataValue)
    columns = [c.name for c in board.schema.columns]
    assert columns == ["model", "score_val", "score_held_out", "fit_s", "predict_s", "stack_level", "chosen"]
    chosen = [record.data for record in board.records if record.data["chosen"]]
    assert len(chosen) == 1
    assert chosen[0]["score_held_out"] == pytest.approx(metadata["roc_auc"].value, abs=1e-4)
    assert len(board.records) > 1


def test_a_notebook_asks_it_about_people_with_missing_values(
    passengers: Refreshed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in passengers.env.items():
        monkeypatch.setenv(name, value)
    model = mlplatform.open().system("passengers").model("survival")
    woman = {"class": "1", "sex": "female", "age": 30.0, "family": 0, "fare": 80.0, "deck": "B", "port": "C"}
    man = {**woman, "class": "3", "sex": "male", "age": None, "fare": None, "deck": None, "port": None}
    frame = model.predict([woman, man])
    assert frame["prediction"].tolist() == ["true", "false"]
    assert frame[["probability_true", "probability_false"]].sum(axis=1).tolist() == pytest.approx([1, 1])
    with (model.package / "leaderboard.csv").open() as file:
        assert [r["model"] for r in csv.DictReader(file)] == [r["model"] for r in model.evaluation["leaderboard"]]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """One year of prices, and XGBoost's model of them in use."""
    line = Line(tmp_path_factory.mktemp("automl_prices"))
    line.load_days(7427, 7679)
    snapshot = line.build()
    first = line.train(snapshot)
    line.gate.judge(first.candidate, snapshot)
    line.deploy(line.registry.register(first.candidate.digest))
    return line


@pytest.fixture(autouse=True)
def _as_it_was(line: Line) -> Iterator[None]:
    query = line.query
    line.model_spec |= {"container": "autogluon", "hyperparameters": {"time_limit_s": 60, "num_cpus": 1}}
    yield
    line.model_spec, line.features_spec, line.query = dict(MODEL), dict(FEATURES), query


def test_prices_are_learnt_and_judged_beside_xgboost(line: Line) -> None:
    snapshot = line.build()
    trained = line.train(snapshot)
    verdict = line.gate.judge(trained.candidate, snapshot)
    assert verdict.figures["value"] > 0.95
    assert verdict.figures["comparison"]["champion"] > 0.93
    package = line.tracking.package(NAME, trained.candidate.digest)
    assert sum(path.stat().st_size for path in package.iterdir()) < 30e6
    manifest = read_package(package)
    assert manifest.parameters["presets"] == "medium_quality"
    evaluation = json.loads((package / "evaluation.json").read_text())
    assert evaluation["validation"]["r2"] > 0.95
    model = PackageRuntimes().load(package)
    row = {"ticker_symbol": "AAPL", "sector": "Information Technology", "change": 1.0}
    known, unseen = model.predict_rows([row, {**row, "ticker_symbol": "NEW", "change": None}])
    assert isinstance(known.value, float)
    assert unseen.flags == ("unseen:ticker_symbol",)


def test_folds_and_layers_are_fitted_on_all_rows_but_the_held_out(line: Line) -> None:
    line.model_spec["hyperparameters"] = {
        "time_limit_s": 60, "num_cpus": 1, "num_bag_folds": 2, "num_stack_levels": 1, "excluded_model_types": "CAT,RF,XT,XGB"
    }  # fmt: skip
    trained = line.train(line.build())
    assert trained.metrics["r2"] > 0.95
    assert {row["stack_level"] for row in trained.leaderboard} >= {1, 2}
    package = line.tracking.package(NAME, trained.candidate.digest)
    assert json.loads((package / "evaluation.json").read_text())["validation"]["r2"] > 0.95
    assert PackageRuntimes().load(package).manifest.metrics["r2"] == trained.metrics["r2"]


def test_three_classes_have_a_probability_each(line: Line) -> None:
    cuts = "CASE WHEN price > 120 THEN 'high' WHEN price > 60 THEN 'middle' ELSE 'low' END"
    line.query = f"SELECT trading_day, ticker_symbol, change, {cuts} AS tier FROM stock_table"
    line.features_spec |= {"target": "tier", "features": [f for f in FEATURES["features"] if f["name"] != "sector"]}
    line.model_spec |= {"task": "multiclass", "gate": {"metric": "log_loss", "threshold": 0.8}}
    line.model_spec["hyperparameters"] = {"time_limit_s": 30, "num_cpus": 1, "excluded_model_types": "CAT,RF,XT"}
    trained = line.train(line.build())
    assert trained.metrics["accuracy"] > 0.85
    assert all(row["score_held_out"] > 0 for row in trained.leaderboard)
    model = PackageRuntimes().load(line.tracking.package(NAME, trained.candidate.digest))
    answer = model.predict_rows([{"ticker_symbol": "UNH", "change": 1.0}])[0]
    assert answer.value == "high"
    assert list(answer.probabilities or {}) == ["high", "low", "middle"]
    assert sum((answer.probabilities or {}).values()) == pytest.approx(1)


def test_free_text_is_learnt_from(line: Line) -> None:
    line.query = "SELECT trading_day, ticker_symbol, change, price, 'Shares of ' || ticker_symbol || ': ' || sector AS note FROM stock_table"
    line.features_spec["features"] = [
        {"name": "note", "transform": "text", "terms": 60},
        {"name": "change", "missing": "keep"},
    ]
    line.model_spec["hyperparameters"] = {"time_limit_s": 30, "num_cpus": 1, "excluded_model_types": "CAT,RF,XT"}
    trained = line.train(line.build())
    # Which share it is stands in the text alone.
    assert trained.metrics["r2"] > 0.95
    model = PackageRuntimes().load(line.tracking.package(NAME, trained.candidate.digest))
    asked = [{"note": f"Shares of {share}", "change": 1.0} for share in ("UNH: Health Care", "XOM: Energy")]
    health, oil = (answer.value for answer in model.predict_rows(asked))
    assert isinstance(health, float)
    assert isinstance(oil, float)
    assert health > oil + 100
    assert model.predict_rows([{"note": "?", "change": 1.0}])[0].flags == ("unseen:note",)


@pytest.mark.skipif(
    os.environ.get("MLPLATFORM_TEST_NEURAL") != "yes",
    reason="installs PyTorch, 8 GB; MLPLATFORM_TEST_NEURAL=yes runs it",
)
def test_neural_networks_are_chosen_from_where_the_environment_has_pytorch(line: Line) -> None:
    trees = "GBM,CAT,XGB,RF,XT,KNN,LR"
    line.model_spec |= {"container": "autogluon_neural"}
    line.model_spec["hyperparameters"] = {"time_limit_s": 60, "num_cpus": 2, "excluded_model_types": trees}
    trained = line.train(line.build())
    assert trained.metrics["r2"] > 0.9
    kinds = {str(row["model"]).partition("_")[0] for row in trained.leaderboard}
    assert kinds & {"NeuralNetTorch", "NeuralNetFastAI"}
    assert kinds <= {"NeuralNetTorch", "NeuralNetFastAI", "WeightedEnsemble"}
    model = PackageRuntimes().load(line.tracking.package(NAME, trained.candidate.digest))
    answer = model.predict_rows([{"ticker_symbol": "UNH", "sector": "Health Care", "change": 1.0}])[0]
    assert isinstance(answer.value, float)
    assert answer.value > 100


def test_what_is_xgboosts_is_refused_by_name(line: Line) -> None:
    line.model_spec["hyperparameters"] = {"num_round": 300}
    with pytest.raises(
        JobError, match=r"AutoGluon's container has no hyperparameter 'num_round'\. There are: .*, exit code: 3"
    ):
        line.train(line.build())

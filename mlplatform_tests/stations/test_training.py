"""Training: jobs named by their inputs, packages staged as candidates, real prices learnt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.core.drift.profile import Profile
from mlplatform.core.packages.manifest import read_package
from mlplatform.core.training.metrics import measure
from mlplatform.errors import JobError, TimedOutError
from mlplatform.stations.feature_snapshot import FeatureSnapshot
from mlplatform_tests.prices import price_rows
from mlplatform_tests.stations.line import FEATURES, MODEL, Line


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The last 260 trading days of the base history in the warehouse."""
    line = Line(tmp_path_factory.mktemp("training"))
    line.load_days(7419, 7679)
    return line


@pytest.fixture(scope="module")
def snapshot(loaded: Line) -> FeatureSnapshot:
    return loaded.build()


@pytest.fixture
def line(loaded: Line) -> Iterator[Line]:
    query = loaded.query
    yield loaded
    loaded.model_spec, loaded.features_spec, loaded.query = dict(MODEL), dict(FEATURES), query


def test_prices_are_learnt_and_go_stale_by_the_quarter(line: Line, snapshot: FeatureSnapshot) -> None:
    lines: list[str] = []
    trained = line.training.train(snapshot, run_id="run-1", code_version="c" * 40, on_log=lines.append)
    package = line.tracking.package("stock_prices.stock_model", trained.candidate.digest)
    model = PackageRuntimes().load(package, digest=trained.candidate.digest)
    assert model.manifest.runtime == "onnx"
    assert model.manifest.trained_to == "2020-06-23"
    assert model.manifest.metrics["r2"] > 0.93
    quarters = [price_rows(7679 + 63 * q, 7679 + 63 * (q + 1)) for q in range(5)]
    r2 = [measure("r2", t.column("price").to_numpy(), model.predict_table(t)) for t in quarters]
    assert r2[0] == pytest.approx(0.88, abs=0.03)
    assert r2[4] == pytest.approx(0.57, abs=0.05)
    assert "train: 3380 rows" in lines
    assert trained.metrics["test_r2"] == pytest.approx(model.manifest.metrics["r2"], rel=1e-4)
    assert trained.peak_memory_mib > 50


def test_the_candidate_carries_its_lineage(line: Line, snapshot: FeatureSnapshot) -> None:
    trained = line.train(snapshot)
    assert trained.candidate.tags["dagster_run_id"] == "run-1"
    assert trained.candidate.tags["code_version"] == "c" * 40
    assert trained.candidate.tags["snapshot"] == snapshot.ref.id
    assert trained.candidate.tags["training_job"] == trained.job
    manifest = read_package(line.tracking.package("stock_prices.stock_model", trained.candidate.digest))
    assert manifest.snapshot["id"] == snapshot.ref.id
    assert manifest.training_job == trained.job
    assert manifest.model == "stock_prices.stock_model"


def test_the_package_holds_baseline_split_and_evaluation(line: Line, snapshot: FeatureSnapshot) -> None:
    package = line.tracking.package("stock_prices.stock_model", line.train(snapshot).candidate.digest)
    baseline = Profile.from_json(json.loads((package / "baseline.json").read_text()))
    assert baseline.rows == snapshot.rows["train"] + snapshot.rows["validation"]
    assert len(baseline.feature("ticker_symbol").categories or {}) == 20
    split = json.loads((package / "split.json").read_text())
    assert split == {"split": snapshot.split, "column": "trading_day", "fitted_to": "2020-06-23"}
    evaluation = json.loads((package / "evaluation.json").read_text())
    assert evaluation["rows"] == snapshot.rows
    assert evaluation["onnx_difference"] < 1e-5
    assert set(evaluation["held_out"]) == {"r2", "rmse", "mae"}


def test_resume_after_the_job_ended_and_before_it_was_staged_takes_the_finished_job(
    line: Line, snapshot: FeatureSnapshot
) -> None:
    first = line.train(snapshot)
    jobs = line.compute.list()
    again = line.train(line.build())
    assert again.candidate == first.candidate
    assert line.compute.list() == jobs


def test_other_code_or_hyperparameters_are_another_job(line: Line, snapshot: FeatureSnapshot) -> None:
    first = line.train(snapshot)
    assert line.train(snapshot, code_version="d" * 40).job != first.job
    line.model_spec["hyperparameters"] = {"num_round": 5}
    shallow = line.train(snapshot)
    assert shallow.job != first.job
    assert shallow.metrics["test_r2"] < first.metrics["test_r2"]


def test_an_edited_container_is_another_job(line: Line, snapshot: FeatureSnapshot) -> None:
    own = line.root / "containers" / "mine"
    shutil.copytree(next(folder for folder in line.containers if folder.is_dir()) / "xgboost", own)
    line.model_spec["container"] = "mine"
    first = line.train(snapshot)
    assert line.train(snapshot).job == first.job
    dockerfile = own / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().rsplit("ENTRYPOINT", 1)[0] + 'ENTRYPOINT ["python", "train.py"]\n')
    (own / "train.py").write_text("import sys\nsys.exit('edited')\n")
    with pytest.raises(JobError, match="AlgorithmError: edited"):
        line.train(snapshot)


def test_the_package_says_which_container_made_it(line: Line, snapshot: FeatureSnapshot) -> None:
    candidate = line.train(snapshot).candidate
    container = f"xgboost@{line.compute.container_digest('xgboost')[:16]}"
    manifest = read_package(line.tracking.package("stock_prices.stock_model", candidate.digest))
    assert manifest.code_version == f"{'c' * 40} {container}"
    assert candidate.tags["container"] == container


def test_a_search_tries_the_given_values_first_and_ends_with_the_best(line: Line, snapshot: FeatureSnapshot) -> None:
    line.model_spec["hyperparameters"] = {"num_round": 30, "eta": 0.01, "nthread": 1}
    line.model_spec["search"] = {"trials": 3, "seed": 1, "ranges": {"eta": {"low": 0.1, "high": 0.3}}}
    package = line.tracking.package("stock_prices.stock_model", line.train(snapshot).candidate.digest)
    evaluation = json.loads((package / "evaluation.json").read_text())
    values = [trial["r2"] for trial in evaluation["trials"]]
    assert len(values) == 4
    assert evaluation["trials"][0]["parameters"]["eta"] == "0.01"
    assert max(values) == pytest.approx(evaluation["validation"]["r2"])
    assert max(values) > values[0]
    assert float(read_package(package).parameters["eta"]) >= 0.1


def test_a_search_without_ranges_tries_what_matters_most(line: Line, snapshot: FeatureSnapshot) -> None:
    line.model_spec["hyperparameters"] = {"num_round": 10, "nthread": 1}
    line.model_spec["search"] = {"trials": 2}
    package = line.tracking.package("stock_prices.stock_model", line.train(snapshot).candidate.digest)
    tried = [t["parameters"] for t in json.loads((package / "evaluation.json").read_text())["trials"]]
    assert len({(t["eta"], t["max_depth"]) for t in tried}) == 3
    assert all(0.03 <= float(t["eta"]) <= 0.3 and 3 <= int(t["max_depth"]) <= 8 for t in tried[1:])


@pytest.mark.parametrize(
    ("given", "trials"),
    [({}, 7), ({"eta": 0.15}, 7), ({"eta": 0.15, "max_depth": 4}, 1)],
    ids=["nothing", "the step", "all that it would try"],
)
def test_left_to_the_container_it_searches_what_is_not_given(
    line: Line, snapshot: FeatureSnapshot, given: dict[str, float], trials: int
) -> None:
    line.model_spec["hyperparameters"] = {"num_round": 10, "nthread": 1, **given}
    line.model_spec.pop("search", None)
    package = line.tracking.package("stock_prices.stock_model", line.train(snapshot).candidate.digest)
    tried = [t["parameters"] for t in json.loads((package / "evaluation.json").read_text())["trials"]]
    assert len(tried) == trials
    assert all(float(t[name]) == value for t in tried for name, value in given.items())
    for free in {"eta", "max_depth"} - given.keys():
        assert len({t[free] for t in tried}) > 1


def test_a_hyperparameter_that_there_is_not_fails_the_job_with_a_hint(line: Line, snapshot: FeatureSnapshot) -> None:
    line.model_spec["hyperparameters"] = {"max_dept": 6}
    with pytest.raises(
        JobError,
        match=r"XGBoost's container has no hyperparameter 'max_dept'\. Did you mean 'max_depth'\?, exit code: 3",
    ):
        line.train(snapshot)


def test_after_a_failure_the_next_attempt_has_a_name_of_its_own(line: Line, snapshot: FeatureSnapshot) -> None:
    line.model_spec["hyperparameters"] = {"num_round": 100_000, "early_stopping_rounds": 0}
    line.model_spec["limits"] = {"timeout_s": 1}
    for attempt in ("a1", "a2"):
        with pytest.raises(TimedOutError, match=rf"Job 'stock-prices-stock-model-[0-9a-f]{{16}}-{attempt}' is Stopped"):
            line.train(snapshot)


@pytest.mark.parametrize(
    ("task", "cuts", "classes"),
    [pytest.param("binary", "WHEN price > 80 THEN 'high'", ("high", "low"), marks=pytest.mark.slow),
     ("multiclass", "WHEN price > 120 THEN 'high' WHEN price > 60 THEN 'middle'", ("high", "low", "middle"))],
)  # fmt: skip
def test_classes_are_learnt(line: Line, task: str, cuts: str, classes: tuple[str, ...]) -> None:
    line.query = f"SELECT trading_day, ticker_symbol, change, CASE {cuts} ELSE 'low' END AS tier FROM stock_table"
    line.features_spec |= {"target": "tier", "features": [f for f in FEATURES["features"] if f["name"] != "sector"]}
    line.model_spec |= {"task": task, "gate": {"metric": "roc_auc", "threshold": 0.8}}
    trained = line.train(line.build())
    package = line.tracking.package("stock_prices.stock_model", trained.candidate.digest)
    manifest = read_package(package)
    assert manifest.signature.classes == classes
    assert manifest.runtime == "onnx"
    assert set(manifest.metrics) == {"accuracy", "f1", "roc_auc", "log_loss"}
    assert manifest.metrics["accuracy"] > 0.85
    answer = PackageRuntimes().load(package).predict_rows([{"ticker_symbol": "UNH", "change": 1.0}])[0]
    assert answer.value == "high"


def test_two_classes_where_two_are_said_else_refused(line: Line) -> None:
    line.query = "SELECT trading_day, ticker_symbol, change, sector AS tier FROM stock_table"
    line.features_spec |= {"target": "tier", "features": [{"name": "ticker_symbol", "transform": "category"}]}
    line.model_spec |= {"task": "binary", "gate": {"metric": "roc_auc", "threshold": 0.8}}
    with pytest.raises(JobError, match=r"Target 'tier' has 7 classes \(.*\); task binary expects 2"):
        line.train(line.build())


def test_a_missing_value_that_the_spec_refuses_fails_the_job_by_row_and_field(tmp_path: Path, line: Line) -> None:
    line.query = (
        "SELECT * REPLACE (CASE WHEN ticker_symbol = 'KO' THEN NULL ELSE change END AS change) FROM stock_table"
    )
    line.features_spec["features"] = [{"name": "change", "missing": "refuse"}]
    with pytest.raises(JobError, match=r"Row \d+, field 'change': expected a number, found nothing.*exit code: 5"):
        line.train(line.build())

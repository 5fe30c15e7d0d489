"""What AutoGluon's container takes: settings by name and value, and rows as it sees them. None of it needs AutoGluon."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlplatform.core.features.encoder import Encoder
from mlplatform.core.features.fitted import fit
from mlplatform.core.packages.manifest import InputField
from mlplatform.core.training.plan import Search, TrainingPlan
from mlplatform.entrypoints.autogluon_frame import frame_of
from mlplatform.entrypoints.autogluon_settings import read_settings
from mlplatform.entrypoints.train_autogluon import main
from mlplatform.errors import SpecError
from mlplatform.rehearsal.budget import cut_down
from mlplatform.spec.model import GateSpec, ModelSpec
from mlplatform.spec.system import SystemSpec
from mlplatform_tests.packages import INPUTS, make_table

PLAN = TrainingPlan(
    model="s.m", task="regression", target="price", inputs=INPUTS, metric="rmse", higher_is_better=False,
    snapshot={}, split={}, code_version="c",
)  # fmt: skip


def test_without_settings_the_validation_rows_judge_for_two_minutes() -> None:
    settings = read_settings({}, PLAN)
    assert settings.parameters == {"presets": "medium_quality", "time_limit_s": "120", "num_cpus": "2"}
    assert not settings.bagged
    assert settings.fit["time_limit"] == 120.0
    assert "NN_TORCH" in settings.fit["excluded_model_types"]


def test_neural_networks_are_fitted_where_there_is_pytorch() -> None:
    assert {"NN_TORCH", "FASTAI"} <= set(read_settings({}, PLAN).fit["excluded_model_types"])
    assert not {"NN_TORCH", "FASTAI"} & set(read_settings({}, PLAN, torch=True).fit["excluded_model_types"])
    without = read_settings({"excluded_model_types": "FASTAI"}, PLAN, torch=True).fit["excluded_model_types"]
    assert [kind for kind in ("NN_TORCH", "FASTAI") if kind in without] == ["FASTAI"]


def test_a_preset_for_quality_and_folds_judge_on_all_rows() -> None:
    assert read_settings({"presets": "best_quality"}, PLAN).fit["num_bag_folds"] == 8
    layered = read_settings({"num_bag_folds": "5", "num_stack_levels": "1", "time_limit_s": "90.5"}, PLAN)
    assert layered.bagged
    assert [layered.fit[n] for n in ("num_bag_folds", "num_stack_levels", "time_limit")] == [5, 1, 90.5]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_rounds": "5"}, "AutoGluon's container has no hyperparameter 'num_rounds'. There are: excluded_model_types,"),
        ({"time_limit": "5"}, "AutoGluon's container has no hyperparameter 'time_limit'. Did you mean 'time_limit_s'?"),
        ({"presets": "extreme_quality"}, "'presets': expected one of medium_quality, good_quality, high_quality, "
         "best_quality, found 'extreme_quality'. That one needs models out of a hub."),
        ({"time_limit_s": "0"}, "'time_limit_s': expected seconds above 0, found '0'."),
        ({"time_limit_s": "inf"}, "'time_limit_s': expected seconds above 0, found 'inf'."),
        ({"num_bag_folds": "1"}, "'num_bag_folds': expected 0 or at least 2, found '1'."),
        ({"num_cpus": "many"}, "'num_cpus': expected a whole number from 1, found 'many'."),
        ({"excluded_model_types": "GBM, NN"}, "'excluded_model_types': expected some of GBM,CAT,XGB,RF,XT,KNN,LR,"
         "NN_TORCH,FASTAI, found 'NN'."),
        ({"num_stack_levels": "1"}, "'num_stack_levels': layers need folds. Set num_bag_folds to 5, say."),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(given: dict[str, str], message: str) -> None:
    with pytest.raises(SpecError) as refused:
        read_settings(given, PLAN)
    assert message in str(refused.value)


def test_a_search_beside_it_is_refused() -> None:
    with pytest.raises(SpecError, match=r"found a search of 4 trials\. Remove 'search' from the model\."):
        read_settings({}, replace(PLAN, search=Search(trials=4)))


@pytest.mark.parametrize(
    ("task", "metric", "name"), [("binary", "f1", "f1"), ("multiclass", "f1", "f1_macro"), ("regression", "r2", "r2")]
)
def test_every_metric_of_the_gate_has_its_like(task: str, metric: str, name: str) -> None:
    from mlplatform.entrypoints.autogluon_settings import METRICS

    read_settings({}, replace(PLAN, task=task, metric=metric))
    assert METRICS[task][metric] == name  # type: ignore[index]


def test_a_frame_has_categories_by_name_and_unseen_or_missing_ones_as_missing() -> None:
    inputs = (InputField("ticker_symbol", "varchar", missing="keep"), InputField("change", "double", missing="keep"))
    table = make_table(50)
    fitted = fit(inputs, table)
    rows = [{"ticker_symbol": "XOM", "change": 1.5}, {"ticker_symbol": "NEW", "change": None}, {}]
    frame = frame_of(Encoder(inputs, fitted).rows(rows).matrix, fitted)
    assert frame["ticker_symbol"].dtype.categories.tolist() == ["AAPL", "JPM", "XOM"]
    assert frame["ticker_symbol"].isna().tolist() == [False, True, True]
    assert frame["ticker_symbol"][0] == "XOM"
    assert frame["change"].dtype == np.float64
    assert frame["change"][0] == 1.5
    assert math.isnan(frame["change"][1])


def test_a_job_that_names_no_lock_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import json

    (tmp_path / "input/data/spec").mkdir(parents=True)
    (tmp_path / "input/config").mkdir()
    (tmp_path / "input/data/spec/plan.json").write_text(json.dumps(PLAN.to_json()))
    (tmp_path / "input/config/hyperparameters.json").write_text("{}")
    env = {f"SM_{name}": str(tmp_path / name.lower()) for name in ("MODEL_DIR", "OUTPUT_DIR", "OUTPUT_DATA_DIR")}
    env |= {"SM_INPUT_DIR": str(tmp_path / "input"), "SM_INPUT_CONFIG_DIR": str(tmp_path / "input/config")}
    assert main([], env) == 6
    assert "MLPLATFORM_LOCK names no file" in capfd.readouterr().err


@pytest.mark.parametrize(("given", "cut"), [({}, 20), ({"time_limit_s": 600}, 20), ({"time_limit_s": 5}, 5)])
def test_a_rehearsal_gives_it_twenty_seconds_at_most(given: dict[str, int], cut: int, tmp_path: Path) -> None:
    model = ModelSpec(
        name="m", features="f", task="regression", container="autogluon", hyperparameters=dict(given),
        gate=GateSpec(metric="r2", threshold=0.5),
    )  # fmt: skip
    (station,) = cut_down(SystemSpec("s", tmp_path, (model,))).stations
    assert isinstance(station, ModelSpec)
    assert station.hyperparameters == {"time_limit_s": cut}

"""`mlplatform.open()`: what a notebook reads is what was loaded, trained and served, at the moment it asks for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

import mlplatform
from mlplatform.errors import DataError, NotFoundError, SpecError
from mlplatform.notebook import Project
from mlplatform.notebook.system import SystemView
from mlplatform_tests.cli.commands import Shell
from mlplatform_tests.cli.conftest import DAYS, Gateway, gateway, live

__all__ = ["gateway", "live"]

ASKED = {"ticker_symbol": "AAPL", "sector": "Information Technology", "change": 1.5}


@pytest.fixture(scope="module")
def project(live: Shell) -> Iterator[Project]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPLATFORM_DEFS", str(live.defs))
        opened = mlplatform.open(home=live.home)
    with opened:
        yield opened


@pytest.fixture
def system(project: Project) -> SystemView:
    return project.system("stock_prices")


def test_a_project_names_its_systems_and_home(project: Project, live: Shell) -> None:
    assert (project.systems, project.home) == (["churn", "stock_prices"], live.home)
    assert repr(project) == f"mlplatform project: churn, stock_prices (state at {live.home})"
    with pytest.raises(NotFoundError, match=r"There is no system 'shop'.*; there are: churn, stock_prices"):
        project.system("shop")


def test_a_system_names_its_stations(system: SystemView) -> None:
    assert "stock_table (Table), stock_features (FeatureSet), stock_model (Model)" in repr(system)


def test_a_table_has_its_rows_and_columns(system: SystemView) -> None:
    table = system.table("stock_table")
    assert table.num_rows == DAYS * 20
    assert table.column_names == ["ticker_symbol", "sector", "change", "price", "trading_day"]
    assert "_batch_id" in system.table("stock_table", provenance=True, limit=1).column_names
    some = system.table("stock_table", columns=["price"], where="ticker_symbol = 'AAPL'", limit=7).to_pandas()
    assert (list(some.columns), len(some)) == (["price"], 7)
    with pytest.raises(NotFoundError, match=r"has no mlplatform\.Table 'stock_tabel'; it has: stock_table"):
        system.table("stock_tabel")


def test_a_sample_is_drawn_by_seed_and_keeps_the_shares_of_a_column(system: SystemView) -> None:
    some = system.sample("stock_table", 200, by="ticker_symbol", seed=1)
    assert some.equals(system.sample("stock_table", 200, by="ticker_symbol", seed=1))
    assert set(some.to_pandas().groupby("ticker_symbol").size()) == {10}
    assert system.sample("stock_table", 7).num_rows == 7
    with pytest.raises(SpecError, match="no column 'nope'"):
        system.sample("stock_table", 7, by="nope")


def test_a_statement_only_reads(system: SystemView) -> None:
    assert system.query("SELECT count(*) AS n FROM stock_table").to_pylist() == [{"n": DAYS * 20}]
    with pytest.raises(DataError, match="A query only reads"):
        system.query("DELETE FROM stock_table")


def test_features_are_the_rows_that_were_unloaded_last(system: SystemView) -> None:
    snapshot = system.snapshot("stock_features")
    found = {channel: system.features("stock_features", channel).num_rows for channel in snapshot.channels}
    assert found == snapshot.rows
    assert sum(found.values()) == 250 * 20
    assert system.features("stock_features", run="run-1").num_rows == snapshot.rows["train"]
    with pytest.raises(DataError, match="no channel 'holdout'; there are: train, validation, test"):
        system.features("stock_features", "holdout")


def test_the_model_that_serves_is_the_default_and_others_go_by_version_or_alias(system: SystemView) -> None:
    model = system.model("stock_model")
    assert (model.name, model.version, model.aliases) == ("stock_prices.stock_model", 1, ("champion",))
    assert system.model("stock_model", alias="champion").digest == model.digest
    assert system.model("stock_model", version=2).version == 2
    assert [row["version"] for row in system.models("stock_model").to_dict("records")] == [1, 2]
    for wish in ({"version": 3}, {"alias": "best"}, {"version": 2, "alias": "champion"}):
        with pytest.raises(NotFoundError, match=r"it has: 1 \(champion\), 2"):
            system.model("stock_model", **wish)  # type: ignore[arg-type]


def test_a_model_tells_metrics_parameters_and_the_very_rows_it_learned_from(system: SystemView) -> None:
    model = system.model("stock_model")
    assert model.metrics["r2"] > 0.9
    assert model.parameters["max_depth"].isdigit()
    assert [i.name for i in model.signature.inputs] == ["ticker_symbol", "sector", "change"]
    assert model.evaluation["rows"]["test"] == model.rows("test").num_rows
    assert model.rows().equals(system.features("stock_features"))
    assert (model.package / "transforms.json").is_file()


def test_answers_are_those_the_gateway_gives(system: SystemView, gateway: Gateway) -> None:
    rows = [ASKED, {**ASKED, "change": None}, {**ASKED, "ticker_symbol": "NEW"}]
    answer = httpx.post(
        f"{gateway.url}/predict/stock_prices",
        json={"instances": rows},
        headers={"authorization": f"Bearer {gateway.token}"},
        timeout=30,
    ).json()
    found = system.model("stock_model").predict(rows)
    assert found["prediction"].tolist() == [p["price"] for p in answer["predictions"]]
    assert found["flags"].tolist() == [(), (), ("unseen:ticker_symbol",)]
    record = system.lineage(answer["inference_id"])
    assert (record.version, record.code_commit != "", len(record.parts)) == (1, True, 3)


def test_a_frame_is_answered_row_by_row_under_its_own_index(system: SystemView) -> None:
    model = system.model("stock_model")
    frame = model.rows("test").to_pandas().set_index("trading_day", drop=False)
    answers = model.predict(frame)
    assert answers.index.equals(frame.index)
    residual = ((frame["price"] - answers["prediction"]) ** 2).sum()
    total = ((frame["price"] - frame["price"].mean()) ** 2).sum()
    assert 1 - residual / total == pytest.approx(model.metrics["r2"], abs=1e-4)
    assert answers.equals(model.predict(model.rows("test")).set_axis(frame.index))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            pd.DataFrame({"ticker": ["AAPL"], "sector": ["Energy"], "change": [1.0]}),
            "no column 'ticker_symbol'.*Is it 'ticker'",
        ),
        ({**ASKED, "chnge": 1.0}, "Row 1: there is no field 'chnge'.*Did you mean 'change'"),
        ([ASKED, {**ASKED, "change": "high"}], "Row 2, field 'change': expected a number, found the text 'high'"),
        (pd.DataFrame([{**ASKED, "sector": None}]), "Row 1, field 'sector': expected text, found nothing"),
    ],
    ids=["column", "field", "value", "missing"],
)
def test_rows_that_do_not_fit_are_named(system: SystemView, rows: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        system.model("stock_model").predict(rows)


def test_classes_come_with_their_probabilities(tmp_path: Path, project: Project) -> None:
    from mlplatform.notebook.model import ModelView
    from mlplatform.ports.tracking import TrackedRun
    from mlplatform_tests.packages import make_package, make_table

    platform, name = project._platform, "stock_prices.tier"
    digest = make_package(tmp_path / "package", task="multiclass", model=name)
    run = TrackedRun("stock_prices", "tier", {}, {}, {}, tmp_path / "package")
    platform.tracking.stage(run, model=name, digest=digest)
    version = platform.tracking.register(name, digest, verdict={"passed": True, "digest": digest})
    answers = ModelView(platform, version).predict(make_table(20))
    assert list(answers.columns) == ["prediction", "probability_high", "probability_low", "probability_middle", "flags"]
    shares = answers.filter(like="probability_").to_numpy()
    assert np.allclose(shares.sum(axis=1), 1)
    assert answers["prediction"].tolist() == [("high", "low", "middle")[i] for i in shares.argmax(axis=1)]


def test_monitors_have_found_nothing_yet(system: SystemView) -> None:
    assert system.evaluations("stock_monitor").empty
    assert system.drift("stock_monitor").empty


def test_receipts_account_for_every_record(system: SystemView) -> None:
    receipts = system.receipts("stock_table")
    assert receipts["loaded"].sum() == receipts["arrived"].sum() == DAYS * 20


def test_importing_the_package_loads_nothing_heavy_and_open_little_more() -> None:
    code = "import sys, mlplatform; mlplatform.open; print(*sorted({'pandas', 'dagster', 'duckdb', 'mlflow', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

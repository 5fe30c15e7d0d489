"""The whole loop on real prices, as one user's data and clients see it from outside: rows, versions, metrics, calls."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mlplatform_tests.systems.demo import running_of, whole_loop

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stock_prices")


@pytest.fixture(scope="module")
def demo(home: Path) -> dict[str, Any]:
    """What `make demo` wrote of itself."""
    return whole_loop({**os.environ, "MLPLATFORM_HOME": str(home / "state")}, home / "report.json")


def test_every_row_that_was_sent_is_there_once(demo: dict[str, Any]) -> None:
    assert demo["rows"] == 153_580 + 10 + 12_680


def test_a_sample_file_is_ten_rows_once_under_any_key(demo: dict[str, Any]) -> None:
    assert demo["sample_rows"] == [10, 0, 0]


def test_the_unload_to_the_same_store_triggers_nothing(demo: dict[str, Any]) -> None:
    assert demo["unload_objects"] > 0
    assert demo["unload_loads"] == 0


def test_the_gateway_answers_in_json_and_csv_with_an_id_to_trace(demo: dict[str, Any]) -> None:
    answer = demo["prediction"]
    price = answer["predictions"][0]["price"]
    assert 40 < price < 120
    assert demo["prediction_csv"].splitlines()[0].split(",")[0] == "price"
    assert float(demo["prediction_csv"].splitlines()[1].split(",")[0]) == pytest.approx(price)
    assert answer["inference_id"].startswith("stock_prices.g1.")


def test_the_champion_ages_as_the_prices_move_on(demo: dict[str, Any]) -> None:
    found = [demo[f"quarter_{n}"]["r2"] for n in range(1, 6)]
    assert found == pytest.approx([0.88, 0.84, 0.77, 0.68, 0.57], abs=0.03)
    assert [demo[f"quarter_{n}"]["passed"] for n in range(1, 6)] == [True, True, True, True, False]


def test_drift_is_reported_feature_by_feature(demo: dict[str, Any]) -> None:
    for number in range(1, 6):
        found = demo[f"quarter_{number}"]
        assert set(found["checks"]) == {"quality", "corrections", *found["drift"]}
        assert set(found["drift"]) == {"drift_ticker_symbol", "drift_sector", "drift_change"}
        # The twenty companies trade each day, as ever; what their prices did differs from what they did in thirty years.
        assert found["drift"]["drift_sector"] < found["drift"]["drift_change"]


def test_a_quiet_quarter_retrains_nothing(demo: dict[str, Any]) -> None:
    assert demo["retrainings_in_quiet_quarter"] == 0


def test_the_retraining_names_the_stored_evaluation_that_caused_it(demo: dict[str, Any]) -> None:
    retraining = demo["retraining"]
    assert retraining["request"]["evaluation_id"] == retraining["evaluation"] == demo["quarter_5"]["evaluation"]
    assert retraining["request"]["status"] == "done"


def test_the_challenger_is_better_on_rows_neither_saw(demo: dict[str, Any]) -> None:
    verdict = demo["retraining"]["verdict"]
    assert (verdict["outcome"], verdict["passed"], verdict["excluded"]) == ("better", True, 0)
    comparison = verdict["figures"]["comparison"]
    assert comparison["low"] > 0.1
    assert comparison["challenger"] == pytest.approx(0.96, abs=0.03)
    assert comparison["champion"] == pytest.approx(0.68, abs=0.06)


def test_no_call_failed_while_the_endpoint_moved(demo: dict[str, Any]) -> None:
    assert demo["failed_calls"] == 0
    assert set(demo["answers_by_generation"]) == {"1", "2"}
    assert demo["calls"] == sum(demo["answers_by_generation"].values())


def test_it_ends_with_a_table_and_the_addresses(demo: dict[str, Any]) -> None:
    for word in ("stage", "rows", "seconds", "Dagster UI", "Gateway's API docs", "Experiment tracker"):
        assert word in demo["output"]


def test_nothing_is_left_running(demo: dict[str, Any], home: Path) -> None:
    assert running_of(home) == []

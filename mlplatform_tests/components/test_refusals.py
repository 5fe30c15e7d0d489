"""What data tests or gate refuse is a failed check, told once, and stays refused however a later run is started."""

from __future__ import annotations

import dagster as dg
import pytest

from mlplatform_tests.components.site import SMALL, SYSTEM, Site, checks, errors

IMPOSSIBLE = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "price", "max_value": 0.01}}
GATE = {"metric": "r2", "threshold": 0.6, "by": "trading_day", "segments": ["sector"]}
WORSE = {"hyperparameters": {"num_round": 1, "max_depth": 2, "eta": 0.05}, "gate": {**GATE, "threshold": -1}}


def latest_check(site: Site, asset: str, check: str) -> bool:
    key = dg.AssetCheckKey(dg.AssetKey([SYSTEM, asset]), check)
    record = site.instance.get_latest_asset_check_evaluation_record(key)
    assert record is not None
    assert record.event is not None
    evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
    return bool(evaluation.passed)


@pytest.fixture(scope="module")
def untested(loaded: Site) -> dg.ExecuteInProcessResult:
    """A refresh, asked for, whose data tests cannot pass."""
    spec = next(f for f in loaded.platform.specs[SYSTEM].stations if f.name == "stock_features")
    loaded.edit("stock_features", expectations=[IMPOSSIBLE])
    result = loaded.refresh(loaded.ask().id)
    loaded.failed(result.run_id)
    loaded.edit("stock_features", expectations=[e.model_dump() for e in spec.expectations])  # type: ignore[attr-defined]
    return result


def test_failed_data_tests_stop_their_run(loaded: Site, untested: dg.ExecuteInProcessResult) -> None:
    assert not untested.success
    assert checks(untested) == {"data_tests": False}
    assert not latest_check(loaded, "stock_features", "data_tests")
    assert (loaded.versions(), loaded.generation()) == ([], 0)


def test_failed_data_tests_answer_the_request_and_are_told_once(
    loaded: Site, untested: dg.ExecuteInProcessResult
) -> None:
    request = loaded.request("stock_prices/stock_prices/00000001")
    assert (request.status, request.run_id) == ("done", untested.run_id)
    assert "3460 of 3460 unexpected" in request.message
    assert loaded.told() == ["[stock_prices] Rows of stock_features did not pass their data tests"]


def test_nothing_is_trained_on_refused_rows_by_hand_either(loaded: Site, untested: dg.ExecuteInProcessResult) -> None:
    alone = loaded.materialize("stock_model_candidate", "stock_model", "stock_prices")
    assert not alone.success
    assert "did not pass its data tests" in errors(alone)
    assert (loaded.versions(), loaded.generation()) == ([], 0)


@pytest.fixture(scope="module")
def ungated(loaded: Site, untested: dg.ExecuteInProcessResult) -> dg.ExecuteInProcessResult:
    """A refresh, asked for, whose gate cannot pass."""
    loaded.edit("stock_model", gate={**GATE, "threshold": 0.9999})
    result = loaded.refresh(loaded.ask().id)
    loaded.failed(result.run_id)
    loaded.failed(result.run_id)
    return result


def test_a_failed_gate_stops_its_run(loaded: Site, ungated: dg.ExecuteInProcessResult) -> None:
    assert not ungated.success
    assert checks(ungated) == {"data_tests": True, "gate": False}
    assert not latest_check(loaded, "stock_model_candidate", "gate")
    assert (loaded.versions(), loaded.generation()) == ([], 0)


def test_a_failed_gate_answers_the_request_and_is_told_once(loaded: Site, ungated: dg.ExecuteInProcessResult) -> None:
    request = loaded.request("stock_prices/stock_prices/00000002")
    assert (request.status, request.run_id) == ("done", ungated.run_id)
    assert "expected at least 0.9999" in request.message
    assert loaded.told()[1:] == ["[stock_prices] A candidate of stock_prices.stock_model did not pass its gate"]


@pytest.mark.parametrize("name", ["stock_model", "stock_prices"])
def test_nothing_refused_is_registered_or_deployed_by_hand(
    loaded: Site, ungated: dg.ExecuteInProcessResult, name: str
) -> None:
    alone = loaded.materialize(name)
    assert not alone.success
    said = {"stock_model": "did not pass the gate", "stock_prices": "has no registered version"}
    assert said[name] in errors(alone)
    assert (loaded.versions(), loaded.generation()) == ([], 0)


@pytest.fixture(scope="module")
def champion(loaded: Site, ungated: dg.ExecuteInProcessResult) -> Site:
    """A champion that serves, made by a refresh that was asked for."""
    loaded.edit("stock_model", gate=GATE, **SMALL)
    request = loaded.ask()
    assert loaded.refresh(request.id).success
    done = loaded.request(request.id)
    assert (done.status, done.message) == ("done", "generation 1")
    return loaded


def test_a_worse_challenger_leaves_the_champion_where_it_is(champion: Site) -> None:
    champion.edit("stock_model", **WORSE)
    result = champion.refresh()
    assert checks(result) == {"data_tests": True, "gate": False}
    for name, succeeds in (("stock_model", False), ("stock_prices", True)):
        assert champion.materialize(name).success is succeeds
    assert (champion.versions(), champion.generation()) == ([1], 1)
    told = [t for t in champion.told() if "did not pass its gate" in t]
    assert len(told) == 2

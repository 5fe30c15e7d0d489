"""Every asset, materialized by hand, in order and again: what it leaves, and what its page shows."""

from __future__ import annotations

import dagster as dg
import pytest

from mlplatform_tests.components.site import LINE, SYSTEM, Site, checks, errors, metadata

BEHIND = ("stock_prices_capture", "stock_monitor", "warehouse_upkeep")


@pytest.fixture(scope="module")
def first(loaded: Site) -> dg.ExecuteInProcessResult:
    """The first refresh."""
    result = loaded.refresh()
    assert result.success
    return result


@pytest.fixture(scope="module")
def trained(loaded: Site, first: dg.ExecuteInProcessResult) -> Site:
    return loaded


def test_the_line_makes_a_version_and_a_generation(trained: Site, first: dg.ExecuteInProcessResult) -> None:
    assert checks(first) == {"data_tests": True, "gate": True}
    assert (trained.versions(), trained.generation()) == ([1], 1)
    assert metadata(first, "stock_features")["dagster/row_count"].value == 5000
    assert trained.told() == ["[stock_prices] stock_prices/stock_prices serves version 1 of stock_prices.stock_model"]


def test_run_and_tracked_run_lead_to_each_other(trained: Site, first: dg.ExecuteInProcessResult) -> None:
    link = metadata(first, "stock_model_candidate")["mlflow"]
    tracked = metadata(first, "stock_model_candidate")["mlflow_run"].value
    assert isinstance(link, dg.UrlMetadataValue)
    assert str(link.url).endswith(f"/runs/{tracked}")
    version = trained.stations.registry("stock_model").versions()[0]
    assert (version.run_id, version.tags["dagster_run_id"]) == (tracked, first.run_id)
    assert version.tags["dagster_run_url"] == f"http://127.0.0.1:8711/runs/{first.run_id}"


def test_checks_show_lists_of_rows_as_tables(first: dg.ExecuteInProcessResult) -> None:
    evidence = {e.check_name: e.metadata for e in first.get_asset_check_evaluations()}
    results, segments = evidence["data_tests"]["results"], evidence["gate"]["segments"]
    assert isinstance(results, dg.TableMetadataValue)
    assert [r.data["severity"] for r in results.records] == ["block", "block", "warn"]
    assert isinstance(segments, dg.TableMetadataValue)
    assert {r.data["value"]: r.data["rows"] for r in segments.records}["Industrials"] == 38
    assert isinstance(evidence["data_tests"]["data_docs"], dg.PathMetadataValue)


def test_the_endpoint_links_to_its_api(first: dg.ExecuteInProcessResult) -> None:
    shown = metadata(first, "stock_prices")
    assert shown["api_docs"] == dg.MetadataValue.url("http://127.0.0.1:8710/schema")
    assert (shown["generation"].value, shown["route"].value) == (1, "/predict/stock_prices")


@pytest.mark.parametrize("name", LINE)
def test_an_asset_of_the_line_alone_and_again_changes_nothing(trained: Site, name: str) -> None:
    assert trained.materialize(name).success
    assert trained.materialize(name).success
    assert (trained.versions(), trained.generation()) == ([1], 1)


def test_all_of_it_in_one_run(trained: Site) -> None:
    names = ("stock_stream_landing", "stock_table", *LINE, *BEHIND)
    result = trained.materialize(*names)
    assert result.success, errors(result)


def test_a_table_alone_and_again_loads_what_is_new_once(trained: Site) -> None:
    trained.put_days(300, 400)
    shown = [metadata(trained.materialize("stock_table"), "stock_table") for _ in range(2)]
    assert [(s["dagster/row_count"].value, s["loaded"].value) for s in shown] == [(8000, 2000), (8000, 0)]


def test_what_stands_behind_the_endpoint_can_be_made_twice(trained: Site) -> None:
    for _ in range(2):
        assert trained.materialize(*BEHIND).success
    evaluations = trained.stations.evaluations("stock_monitor")
    assert [(e.rows, e.passed) for e in evaluations] == [(1260, True)]
    latest = trained.instance.get_latest_materialization_event(dg.AssetKey([SYSTEM, "stock_monitor"]))
    assert latest is not None
    assert latest.asset_materialization is not None
    assert latest.asset_materialization.metadata["evaluation"].value == evaluations[0].id


def test_a_runs_parameters_take_effect(trained: Site) -> None:
    result = trained.materialize("stock_features", config={"as_of": "1990-12-31", "window_last": 120})
    assert result.success
    shown = metadata(result, "stock_features")
    assert shown["rows"].value == 120 * 20
    assert (shown["parameter_as_of"].value, shown["parameter_window_last"].value) == ("1990-12-31", 120)
    features = trained.stations.features("stock_features")
    days = features.read(features.latest(run_id=result.run_id), "train").column("trading_day").to_pylist()
    assert max(days).isoformat() <= "1990-12-31"

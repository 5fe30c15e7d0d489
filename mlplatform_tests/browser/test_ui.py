"""What a person does in the UI: find the asset graph, open a check with its evidence, materialize an asset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import FloatRect, Page, expect

from mlplatform_tests.browser.conftest import ALL_DAYS, STREAMED_DAYS, stream_days
from mlplatform_tests.cli.commands import Shell
from mlplatform_tests.serving.until import until

pytestmark = pytest.mark.slow

LINE = ("stock_stream", "stock_table", "stock_features", "stock_model", "stock_prices", "stock_monitor")


def address(served: Shell, path: str) -> str:
    return f"http://127.0.0.1:{served.more['MLPLATFORM_UI_PORT']}{path}"


def test_the_asset_graph_shows_the_line_from_stream_to_monitor(served: Shell, page: Page, pictures: Path) -> None:
    # Downwards, and high enough for the graph to show each node whole, with its kinds.
    page.add_init_script("localStorage.setItem('asset-graph-direction', '\"vertical\"')")
    page.set_viewport_size({"width": 1600, "height": 2300})
    # Of one system: where there are several, the graph shows each as one node that is opened first.
    page.goto(address(served, "/asset-groups~group%3A%22stock_prices%22"))
    for name in LINE:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    expect(page.get_by_text("Loading")).to_have_count(0)
    nodes = [box for box in (page.get_by_text(n, exact=True).last.bounding_box() for n in LINE) if box is not None]
    left, top = min(b["x"] for b in nodes) - 60, min(b["y"] for b in nodes) - 30
    right, bottom = max(b["x"] for b in nodes) + 320, max(b["y"] for b in nodes) + 200
    clip: FloatRect = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    page.screenshot(path=pictures / "graph.png", clip=clip)


def test_a_check_shows_its_evidence(served: Shell, page: Page, pictures: Path) -> None:
    page.goto(address(served, "/assets/stock_prices/stock_monitor?view=checks&checkDetail=quality"))
    expect(page.get_by_text("of predicted against arrived price").first).to_be_visible()
    for evidence in ("threshold", "evaluation", "segments"):
        expect(page.get_by_text(evidence, exact=True).first).to_be_visible()
    page.screenshot(path=pictures / "check.png")


def test_metrics_are_plotted_over_windows(served: Shell, page: Page, pictures: Path) -> None:
    page.set_viewport_size({"width": 1600, "height": 1650})
    page.goto(address(served, "/assets/stock_prices/stock_monitor"))
    page.get_by_role("button").filter(has_text="Plots").first.click()
    expect(page.get_by_text("r2", exact=True).first).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    page.screenshot(path=pictures / "plots.png")


def test_an_asset_is_materialized_by_hand_while_the_worker_runs(served: Shell, page: Page, pictures: Path) -> None:
    page.goto(address(served, "/assets/stock_prices/warehouse_upkeep"))
    page.get_by_role("button").filter(has_text="Materialize").first.click()
    expect(page.get_by_text("Launched run").first).to_be_visible()
    until(lambda: runs(served) == ["SUCCESS"], timeout_s=180)
    page.goto(address(served, "/assets/stock_prices/warehouse_upkeep?view=events"))
    expect(page.get_by_text("files_after", exact=True).first).to_be_visible()
    page.screenshot(path=pictures / "materialized.png")


def test_every_asset_is_materialized_by_hand_while_worker_gateway_and_commands_use_the_warehouse(served: Shell) -> None:
    names = [*LINE[1:], "stock_stream_landing", "stock_model_candidate", "stock_prices_capture", "warehouse_upkeep"]
    launched = {name: launch(served, name) for name in names}
    query = "{ runsOrError { ... on Runs { results { runId status } } } }"

    def ended() -> dict[str, str]:
        assert served.run("query", "stock_prices", "SELECT count(*) FROM stock_table").code == 0
        found = {run["runId"]: run["status"] for run in graphql(served, query)["runsOrError"]["results"]}
        statuses = {name: found[run] for name, run in launched.items()}
        return statuses if set(statuses.values()) <= {"SUCCESS", "FAILURE", "CANCELED"} else {}

    until(ended, timeout_s=400)
    assert ended() == dict.fromkeys(names, "SUCCESS")


def test_a_check_that_fails_says_by_how_much_and_what_follows(served: Shell, page: Page, pictures: Path) -> None:
    monitored = served.platform().system("stock_prices")
    judged = len(monitored.evaluations("stock_monitor"))
    stream_days(served, ALL_DAYS, ALL_DAYS + STREAMED_DAYS, dearer=3.0)
    until(lambda: len(monitored.evaluations("stock_monitor")) > judged, timeout_s=120)
    page.goto(address(served, "/assets/stock_prices/stock_monitor?view=checks&checkDetail=quality"))
    expect(page.get_by_text("of predicted against arrived price: -").first).to_be_visible()
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    page.screenshot(path=pictures / "failed.png")
    until(lambda: "quality" in retrained_for(served), timeout_s=120)


def retrained_for(served: Shell) -> set[str]:
    """What failed in the evaluations that retrainings were asked for by."""
    stations = served.platform().system("stock_prices")
    caused = {request.evaluation_id for retrain in stations.retrains() for request in retrain.requests()}
    return {failed for e in stations.evaluations("stock_monitor") if e.id in caused for failed in e.failed}


def runs(served: Shell) -> list[str]:
    """How the runs ended, or stand, that materialize the upkeep."""
    query = "{ runsOrError { ... on Runs { results { status assetSelection { path } } } } }"
    found = graphql(served, query)["runsOrError"]["results"]
    upkeep = {"path": ["stock_prices", "warehouse_upkeep"]}
    return [run["status"] for run in found if upkeep in (run["assetSelection"] or [])]


def launch(served: Shell, name: str) -> str:
    """Ask the UI's server for a run that materializes one asset, as the button does; the run's id."""
    mutation = """mutation ($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
        __typename ... on LaunchRunSuccess { run { runId } } } }"""
    repositories = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
    [found] = graphql(served, repositories)["repositoriesOrError"]["nodes"]
    selector = {
        "repositoryName": found["name"],
        "repositoryLocationName": found["location"]["name"],
        "pipelineName": "__ASSET_JOB",
        "assetSelection": [{"path": ["stock_prices", name]}],
    }
    answer = graphql(served, mutation, {"params": {"selector": selector, "mode": "default"}})["launchPipelineExecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def graphql(served: Shell, query: str, variables: dict[str, Any] | None = None) -> Any:
    sent = {"query": query, "variables": variables or {}}
    answer = httpx.post(address(served, "/graphql"), json=sent, timeout=60).json()
    assert "errors" not in answer, answer
    return answer["data"]

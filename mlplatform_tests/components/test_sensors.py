"""Sensors ask for the runs their names say, once, and leave to the worker what a worker does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from mlplatform.core.retrain import Request
from mlplatform_tests.components.site import Site, errors


@pytest.fixture(scope="module")
def arriving(make_site: Callable[[], Site]) -> Site:
    """A site with objects that nobody has loaded yet."""
    site = make_site()
    for first in (0, 100):
        site.put_days(first, first + 100)
    return site


@contextmanager
def worker(site: Site) -> Iterator[None]:
    """A worker's fresh beat, as long as the block lasts."""
    site.platform.items.put("workers", "worker", {"pid": 1, "beat_at": time.time(), "troubles": {}})
    try:
        yield
    finally:
        site.platform.items.delete("workers", "worker")


def test_nobody_asked_where_there_are_no_rows(arriving: Site) -> None:
    said = arriving.tick("stock_refresh_requests")
    assert (said.run_requests, said.skip_message) == ([], "Nobody asked.")


def test_arrivals_are_the_workers_while_it_lives(arriving: Site) -> None:
    with worker(arriving):
        said = arriving.tick("stock_table_arrivals")
    assert (said.run_requests, said.skip_message) == ([], "The worker loads arrivals.")


def test_a_worker_whose_beat_is_old_counts_as_none(arriving: Site) -> None:
    arriving.platform.items.put("workers", "worker", {"pid": 1, "beat_at": time.time() - 60, "troubles": {}})
    assert len(arriving.tick("stock_table_arrivals").run_requests or ()) == 1
    arriving.platform.items.delete("workers", "worker")


def test_several_objects_are_one_run(arriving: Site) -> None:
    (request,) = arriving.tick("stock_table_arrivals").run_requests or ()
    assert len(request.run_key or "") == 64
    assert [k.path for k in request.asset_selection or ()] == [["stock_prices", "stock_table"]]
    assert arriving.materialize("stock_table").success
    said = arriving.tick("stock_table_arrivals")
    assert (said.run_requests, said.skip_message) == ([], "No new object.")


def test_one_object_is_a_run_named_by_key_etag_and_what_was_loaded_before(arriving: Site) -> None:
    arriving.put_days(200, 300)
    info = arriving.platform.store.head("stock_prices/base/00200-00300.csv")
    assert info is not None
    (request,) = arriving.tick("stock_table_arrivals").run_requests or ()
    assert request.run_key == f"{info.key}:{info.etag}@2"
    assert arriving.materialize("stock_table").success


@pytest.fixture(scope="module")
def asked(arriving: Site) -> Request:
    """The request for the first training."""
    return arriving.ask()


def test_a_request_is_one_run_that_bears_its_id_and_reason(arriving: Site, asked: Request) -> None:
    for _ in range(2):
        (request,) = arriving.tick("stock_refresh_requests").run_requests or ()
        # With its time: a system that was destroyed and made again numbers its requests from 1 again.
        assert request.run_key == f"{asked.id}@{asked.requested_at.isoformat()}"
        assert request.tags["mlplatform/request"] == asked.id
        assert request.tags["mlplatform/reason"] == "first training: table 'stock_table' has 6000 rows"
        assert "mlplatform/evaluation" not in request.tags


def test_a_failed_run_closes_its_request_and_is_told_once(arriving: Site, asked: Request) -> None:
    result = arriving.refresh(asked.id, config={"as_of": "1980-01-01"})
    assert "training rows; expected at least 100" in errors(result)
    assert arriving.request(asked.id).status == "launched"
    for _ in range(2):
        arriving.failed(result.run_id)
    assert arriving.request(asked.id).status == "launched"
    arriving.failed(result.run_id, "stock_refresh_failed")
    assert arriving.request(asked.id).status == "failed"
    assert arriving.told() == ["[stock_prices] A run of stock_prices failed"]


def test_a_failed_run_that_is_about_to_be_retried_keeps_its_request(arriving: Site) -> None:
    told = len(arriving.told())
    asked = Request("stock_prices/stock_prices/00000099", "a check failed", "m/g1.w1", ("quality",), datetime.now(UTC))
    arriving.platform.items.put("retrain_requests", asked.id, asked.to_json())
    result = arriving.refresh(asked.id, config={"as_of": "1980-01-01"})
    arriving.instance.add_run_tags(result.run_id, {"dagster/will_retry": "true"})
    arriving.failed(result.run_id)
    arriving.failed(result.run_id, "stock_refresh_failed")
    assert len(arriving.told()) == told
    assert arriving.request(asked.id).status == "launched"
    arriving.platform.items.delete("retrain_requests", asked.id)


def test_full_windows_are_the_workers_while_it_lives_and_else_a_run(arriving: Site) -> None:
    assert arriving.tick("stock_monitor_due").skip_message == "No window is full."
    assert arriving.refresh().success
    arriving.put_days(300, 370)
    assert arriving.materialize("stock_table").success
    with worker(arriving):
        assert arriving.tick("stock_monitor_due").skip_message == "The worker judges windows."
    (request,) = arriving.tick("stock_monitor_due").run_requests or ()
    (window,) = arriving.stations.monitor("stock_monitor").due(datetime.now(UTC))
    assert request.run_key == window.id
    assert [k.path for k in request.asset_selection or ()] == [["stock_prices", "stock_monitor"]]


def test_a_retraining_bears_the_evaluation_that_caused_it(arriving: Site) -> None:
    arriving.edit(
        "stock_monitor", quality={"metric": "r2", "threshold": 0.9999}, retrain={"checks": ["quality"], "cooldown_s": 0}
    )
    result = arriving.materialize("stock_monitor")
    assert result.success  # the check only warns
    (evaluation,) = arriving.stations.evaluations("stock_monitor")
    (request,) = arriving.tick("stock_refresh_requests").run_requests or ()
    assert request.tags["mlplatform/evaluation"] == evaluation.id
    assert "failed quality" in request.tags["mlplatform/reason"]

"""A sensor asks again for what stays due, one run at a time, and not hot; on a real instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from mlplatform.components.due_run import due_run
from mlplatform_tests.components.site import SYSTEM, Site

SENSOR = f"{SYSTEM}_stock_table_arrivals"
KEY = dg.AssetKey([SYSTEM, "stock_table"])
OBJECT = "stock_prices/base/x.csv"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


def asked(said: dg.SensorResult | dg.SkipReason) -> dg.RunRequest:
    assert isinstance(said, dg.SensorResult), said
    (request,) = said.run_requests or ()
    return request


def tags(request: dg.RunRequest) -> dict[str, str]:
    """What Dagster's daemon gives the run of a sensor's request."""
    return {**request.tags, "dagster/run_key": request.run_key or "", "dagster/sensor_name": SENSOR}


def begun(instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.DagsterRun:
    @dg.job
    def load() -> None: ...

    return instance.create_run_for_job(load, status=dg.DagsterRunStatus.STARTED, tags=tags(request))


def later(minutes: float) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes)


def test_what_is_due_is_asked_for_by_its_name(instance: dg.DagsterInstance) -> None:
    request = asked(due_run(instance, SENSOR, KEY, "x", now=later(0)))
    assert request.run_key == "x"
    assert request.asset_selection == [KEY]


def test_nothing_is_asked_for_while_a_run_of_the_sensor_goes_on(instance: dg.DagsterInstance) -> None:
    begun(instance, asked(due_run(instance, SENSOR, KEY, "x", now=later(0))))
    said = due_run(instance, SENSOR, KEY, "y", now=later(99))
    assert said == dg.SkipReason("A run that was asked for has not ended.")


@pytest.mark.parametrize("end", ["failed", "canceled"])
def test_a_run_that_ended_with_the_work_still_due_is_followed_by_another_after_a_pause(
    instance: dg.DagsterInstance, end: str
) -> None:
    run = begun(instance, asked(due_run(instance, SENSOR, KEY, "x", now=later(0))))
    (instance.report_run_failed if end == "failed" else instance.report_run_canceled)(run)
    said = due_run(instance, SENSOR, KEY, "x", now=later(0))
    assert isinstance(said, dg.SkipReason)
    assert run.run_id in (said.skip_message or "")
    assert asked(due_run(instance, SENSOR, KEY, "x", now=later(1))).run_key == "x#1"


def test_the_pause_doubles_up_to_an_hour(instance: dg.DagsterInstance) -> None:
    waited = []
    for _ in range(10):
        minutes = next(
            m for m in (0, 0.6, 1.1, 2.1, 4.1, 8.1, 16.1, 32.1, 61)
            if isinstance(due_run(instance, SENSOR, KEY, "x", now=later(m)), dg.SensorResult)
        )  # fmt: skip
        waited.append(minutes)
        instance.report_run_failed(begun(instance, asked(due_run(instance, SENSOR, KEY, "x", now=later(minutes)))))
    assert waited == [0, 0.6, 1.1, 2.1, 4.1, 8.1, 16.1, 32.1, 61, 61]


def test_other_work_does_not_wait_for_what_failed(instance: dg.DagsterInstance) -> None:
    instance.report_run_failed(begun(instance, asked(due_run(instance, SENSOR, KEY, "x", now=later(0)))))
    assert asked(due_run(instance, SENSOR, KEY, "y", now=later(0))).run_key == "y"


def test_an_object_that_comes_to_what_it_once_was_is_loaded_each_time(make_site: Callable[[], Site]) -> None:
    site = make_site()
    site.edit("stock_table", on_changed_object="replace")
    keys, prices = [], []
    for price in (5, 7, 5):
        row = f"ticker_symbol,sector,change,price,trading_day\nAAA,Energy,1,{price},1990-01-02\n"
        site.platform.store.put(OBJECT, row.encode())
        (request,) = site.tick("stock_table_arrivals").run_requests or ()
        keys.append(request.run_key)
        assert site.materialize("stock_table", tags=tags(request)).success
        prices += site.stations.warehouse().query("SELECT price FROM stock_table").column("price").to_pylist()
    assert len(set(keys)) == 3
    assert prices == [5.0, 7.0, 5.0]

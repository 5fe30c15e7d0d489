"""A system that was destroyed starts again as if it had never been: its own champion, its own requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg
import pytest

from mlplatform.core.retrain import Request
from mlplatform.platform.applied import apply_specs
from mlplatform.platform.removal import remove_system, what_goes
from mlplatform_tests.components.site import SYSTEM, Site, errors

DAYS = 300


@pytest.fixture(scope="module")
def destroyed(make_site: Callable[[], Site]) -> Site:
    """A site whose system served a model and was destroyed, and whose table was loaded anew."""
    site = make_site()
    site.put_days(0, DAYS)
    assert site.materialize("stock_stream_landing", "stock_table").success
    first = site.refresh(site.ask().id)
    assert first.success, errors(first)
    assert site.generation() == 1
    apply_specs(site.platform, now=datetime.now(UTC))
    goes = " ".join(f"{g.what} {g.detail}" for g in what_goes(site.platform, SYSTEM))
    assert "verdict on stock_prices.stock_model" in goes
    assert "aliases of model stock_prices.stock_model" in goes
    remove_system(site.platform, SYSTEM)
    site.platform.close()
    site.put_days(0, DAYS)
    assert site.materialize("stock_stream_landing", "stock_table").success
    return site


def test_nothing_of_the_old_system_judges_the_new_one(destroyed: Site) -> None:
    assert destroyed.stations.registry("stock_model").champion() is None
    assert list(destroyed.platform.items.list("verdicts")) == []
    assert destroyed.stations.retrain("stock_prices").requests() == []


def test_its_first_training_is_a_run_of_its_own_and_deploys(destroyed: Site) -> None:
    asked = destroyed.ask()
    (request,) = destroyed.tick("stock_refresh_requests").run_requests or ()
    assert request.run_key == f"{asked.id}@{asked.requested_at.isoformat()}"
    result = destroyed.refresh(asked.id)
    assert result.success, errors(result)
    assert destroyed.generation() == 1
    verdict = next(iter(destroyed.platform.items.list("verdicts"))).value
    assert (verdict["outcome"], verdict["champion_digest"]) == ("first", None), json.dumps(verdict)


def test_a_cancelled_run_holds_up_no_later_request(destroyed: Site) -> None:
    asked = Request("stock_prices/stock_prices/00000009", "a check failed", "m/g1.w1", ("quality",), datetime.now(UTC))
    destroyed.platform.items.put("retrain_requests", asked.id, asked.to_json())
    run = destroyed.instance.create_run_for_job(
        destroyed.definitions.resolve_job_def(f"{SYSTEM}_stock_refresh"),
        tags={"mlplatform/request": asked.id, "mlplatform/system": SYSTEM},
    )
    destroyed.instance.report_run_canceled(run)
    events = [e.dagster_event for e in destroyed.instance.all_logs(run.run_id) if e.dagster_event is not None]
    name = f"{SYSTEM}_stock_refresh_canceled"
    with dg.build_run_status_sensor_context(
        sensor_name=name,
        dagster_event=events[-1],
        dagster_instance=destroyed.instance,
        dagster_run=run,
        resources=destroyed.resources,
    ) as context:
        destroyed.definitions.resolve_sensor_def(name)(context)
    ended = destroyed.request(asked.id)
    assert (ended.status, ended.message) == ("failed", "its run was cancelled")

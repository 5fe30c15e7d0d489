"""A system that was destroyed starts again as if it had never been: its own champion, its own requests."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from mlplatform.core.retrain import Request
from mlplatform.errors import JobError, NotFoundError
from mlplatform.platform.applied import apply_specs
from mlplatform.platform.housekeeping import housekeeping
from mlplatform.platform.removal import COLLECTIONS, remove_system, what_goes
from mlplatform.ports.compute import JobSpec
from mlplatform_tests.components.site import SYSTEM, Site, errors

DAYS = 300


OLD = f"stock_prices.g1.main.{uuid.UUID(int=1)}"
NEW_NAMES = {
    "stock_model": "price_model",
    "stock_prices/base/": "prices/base/",
    "name: stock_table": "name: price_table",
    "table: stock_table": "table: price_table",
    "FROM stock_table": "FROM price_table",
}


@contextmanager
def renamed(site: Site) -> Iterator[None]:
    """Other names of model, table and prefix in the YAML, as long as the block lasts."""
    folder = site.root / "defs" / SYSTEM
    texts = {path: path.read_text() for path in (folder / "defs.yaml", folder / "features.sql")}
    for path, text in texts.items():
        for old, new in NEW_NAMES.items():
            text = text.replace(old, new)
        path.write_text(text)
    site.__dict__.pop("platform").close()
    yield
    for path, text in texts.items():
        path.write_text(text)
    site.__dict__.pop("platform").close()


@pytest.fixture(scope="module")
def destroyed(make_site: Callable[[], Site]) -> Site:
    """A site whose system served a model, was renamed throughout and destroyed; then made again as it was at first."""
    site = make_site()
    site.put_days(0, DAYS)
    assert site.materialize("stock_stream_landing", "stock_table").success
    first = site.refresh(site.ask().id)
    assert first.success, errors(first)
    assert site.generation() == 1
    assert site.platform.trace(OLD).version == 1
    apply_specs(site.platform, now=datetime.now(UTC))
    with renamed(site):
        apply_specs(site.platform, now=datetime.now(UTC))
        goes = " ".join(f"{g.what} {g.detail}" for g in what_goes(site.platform, SYSTEM))
        for gone in ("verdict on stock_prices.stock_model", "versions 1 of stock_prices.stock_model", "jobs 1, with", "1 under stock_prices/base/", "data_docs/stock_prices"):  # fmt: skip
            assert gone in goes
        remove_system(site.platform, SYSTEM)
        site.platform.close()
    home = site.platform.home
    assert [info.key for info in site.platform.store.list("")] == []
    assert site.platform.compute.list() == []
    assert not (home.reports / "data_docs" / SYSTEM).exists()
    kept = {item.key for c in COLLECTIONS for item in site.platform.items.list(c)}
    assert (kept, list(site.platform.items.list("candidates"))) == (set(), [])
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
    assert (destroyed.generation(), destroyed.versions()) == (2, [1])
    verdict = next(iter(destroyed.platform.items.list("verdicts"))).value
    assert (verdict["outcome"], verdict["champion_digest"]) == ("first", None), json.dumps(verdict)


def test_an_old_prediction_leads_to_no_new_model(destroyed: Site) -> None:
    with pytest.raises(NotFoundError, match=r"was made before endpoint 'stock_prices/stock_prices' was destroyed at 2"):
        destroyed.platform.trace(OLD)
    assert destroyed.platform.trace(OLD.replace("g1", "g2")).version == 1


def test_the_endpoint_can_be_materialized_by_hand_afterwards(destroyed: Site) -> None:
    result = destroyed.materialize("stock_prices")
    assert result.success, errors(result)


def test_upkeep_keeps_the_job_of_a_registered_model_and_forgets_others(destroyed: Site) -> None:
    (kept,) = destroyed.platform.compute.list()
    other = JobSpec("left", "xgboost", {}, (), "jobs/stock_prices/stock_model/left/", tags={"system": SYSTEM})
    with pytest.raises(JobError):
        destroyed.platform.compute.run(other)
    housekeeping(destroyed.stations, datetime.now(UTC) + timedelta(days=8))
    assert destroyed.platform.compute.list() == [kept]
    assert kept in {part for info in destroyed.platform.store.list("jobs/") for part in info.key.split("/")}


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

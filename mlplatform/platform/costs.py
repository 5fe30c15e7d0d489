"""What remote work costs, where the profile names a file of prices and that file knows the machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.errors import PlatformError
from mlplatform.spec.prices import HOUR_S, Prices, read_prices

if TYPE_CHECKING:
    from mlplatform.platform.root import Platform

log = logging.getLogger(__name__)


def prices_of(platform: Platform) -> Prices | None:
    """The profile's prices, None where it names none. Raises ProfileError where their file is wrong."""
    return read_prices(Path(platform.profile.prices)) if platform.profile.prices else None


def paid_for(platform: Platform, job: str, billable_s: int | None, *, now: datetime) -> dict[str, Any]:
    """Metadata of a job that ended: ``billable_s`` of its hosts together, ``cost_usd`` (or another currency's) and of which day the
    prices are. Nothing where nothing is paid for; no cost where its price is not known."""
    if billable_s is None:
        return {}
    try:
        cost = _cost(platform, job, billable_s, now)
    except PlatformError as error:
        # What the job made is there: that its cost is not known is no reason to run it again.
        log.warning("what job %s cost is not known: %s", job, error)
        cost = {}
    return {"billable_s": billable_s, **cost}


def _cost(platform: Platform, job: str, billable_s: int, now: datetime) -> dict[str, Any]:
    prices = prices_of(platform)
    if prices is None:
        return {}
    cost = prices.cost(platform.compute.describe(job)["ResourceConfig"].get("InstanceType", ""), billable_s)
    return {} if cost is None else {f"cost_{prices.currency.lower()}": cost, "prices_as_of": prices.told_of(now.date())}


def with_job_cost(row: dict[str, Any], prices: Prices | None, now: datetime) -> dict[str, Any]:
    """A job that runs, with what its hosts cost since it was made; "" where that is not known."""
    seconds = (now - datetime.fromisoformat(row["since"]).astimezone(UTC)).total_seconds()
    return _with(row, "cost_so_far", prices, max(0.0, seconds) * row["hosts"], now)


def with_endpoint_cost(row: dict[str, Any], prices: Prices | None, now: datetime) -> dict[str, Any]:
    """An endpoint with what an hour of its instances costs; "" where that is not known."""
    return _with(row, "cost_per_hour", prices, HOUR_S * row["workers"], now)


def _with(row: dict[str, Any], key: str, prices: Prices | None, seconds: float, now: datetime) -> dict[str, Any]:
    if prices is None:
        return row
    return {**row, key: _told(prices, row, seconds, now)}


def _told(prices: Prices, row: Mapping[str, Any], seconds: float, now: datetime) -> str:
    cost = prices.cost(row["machine"], seconds)
    if cost is None:
        return ""
    _, _, old = prices.told_of(now.date()).partition(", ")
    return f"{cost:.2f} {prices.currency}" + (f" (prices {old})" if old else "")

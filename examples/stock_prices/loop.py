"""The steps of the demo: a user's data and clients around a running platform, and what is seen from outside.

Nothing here starts a training: records are written, objects are put, HTTP is called, and state is read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import pandas as pd

from examples.stock_prices.prices import Day, base_rows
from mlplatform.errors import DataError, NotFoundError, TimedOutError
from mlplatform.platform import Platform
from mlplatform.serving.api_keys import ApiKeys

SYSTEM, STREAM, TABLE, ENDPOINT, MONITOR = (
    "stock_prices",
    "stock_stream",
    "stock_table",
    "stock_prices",
    "stock_monitor",
)
SAMPLE_DAY = "2020-06-20"
"""A Saturday inside the base history: no row of the data has it, so the sample's keys are its own."""

PATIENCE_S = 300.0
"""What takes longer than this does not come."""

T = TypeVar("T")


@dataclass(frozen=True)
class Refreshed:
    """What a refresh came to: the request that caused it, the generation, the version and its verdict."""

    generation: int
    version: int
    request: dict[str, Any]
    verdict: dict[str, Any]
    metrics: dict[str, float]


class Loop:
    """The stock price system as its users see it."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._system = platform.system(SYSTEM)
        addresses = platform.profile.addresses
        self.url = f"http://{addresses.host}:{addresses.gateway_port}"
        self.token, _ = ApiKeys(platform.items).create(f"{SYSTEM}/{ENDPOINT}", label="demo", now=datetime.now(UTC))

    def put_base(self, rows: pd.DataFrame) -> int:
        """Put the base history as one CSV object; how many rows it has."""
        base = base_rows(rows)
        self._put("stock_prices/base/history.csv", base)
        return len(base)

    def put_sample(self, rows: pd.DataFrame, key: str) -> None:
        """Put ten rows of a Saturday under the stream's prefix."""
        base = base_rows(rows)
        sample = base[base["trading_day"] == base["trading_day"].iloc[-1]].head(10).assign(trading_day=SAMPLE_DAY)
        self._put(f"stock_prices/stream/{key}", sample)

    def put_days(self, days: Iterable[Day]) -> int:
        """Put the records of some days on the stream, in time order; how many."""
        producer = self._system.producer(STREAM)
        records = [json.dumps(r).encode() for day in days for r in day.records]
        for start in range(0, len(records), producer.batch_size):
            refused = [r for r in producer.put(records[start : start + producer.batch_size]) if r.error_code]
            if refused:
                raise DataError(refused[0].error_message)
        return len(records)

    def rows(self) -> int:
        """Rows of the table."""
        return int(self._system.warehouse("warehouse").query(f"SELECT count(*) AS n FROM {TABLE}").to_pylist()[0]["n"])  # noqa: S608

    def receipts(self) -> list[Any]:
        """All receipts of the table."""
        return self._system.receipts(TABLE, limit=None)

    def unloaded(self) -> list[str]:
        """Keys that feature sets unloaded to the same store."""
        return [o.key for o in self._platform.store.list(f"unload/{SYSTEM}/")]

    def evaluations(self) -> list[Any]:
        """Windows judged so far."""
        return self._system.evaluations(MONITOR)

    def requests(self) -> list[Any]:
        """Trainings asked for so far."""
        return [r for retrain in self._system.retrains() for r in retrain.requests()]

    def generation(self) -> int:
        """The generation that every live worker answers with; 0 = none yet."""
        return self._platform.endpoints.state(f"{SYSTEM}/{ENDPOINT}").live_generation

    def refreshed(self) -> Refreshed:
        """The newest deployment with its cause and its verdict."""
        deployment = self._platform.endpoints.desired(f"{SYSTEM}/{ENDPOINT}")
        if deployment is None:
            raise NotFoundError(f"Endpoint '{ENDPOINT}' was never deployed.")
        request: dict[str, Any] = next((r.to_json() for r in self.requests() if r.run_id == deployment.run_id), {})
        verdict = self._system.gate("stock_model").verdict(deployment.digest)
        version = next(v for v in self._system.registry("stock_model").versions() if v.version == deployment.version)
        judged = verdict.to_json() if verdict is not None else {}
        return Refreshed(deployment.generation, deployment.version, request, judged, dict(version.metrics))

    def predict_json(self, row: dict[str, object]) -> dict[str, Any]:
        """A prediction through the gateway, as JSON."""
        answer = httpx.post(
            f"{self.url}/predict/{ENDPOINT}", json={"instances": [row]}, headers=self._headers(), timeout=30
        )
        answer.raise_for_status()
        return dict(answer.json())

    def predict_csv(self, row: dict[str, object]) -> str:
        """The same as CSV."""
        body = ",".join(row) + "\n" + ",".join("" if v is None else str(v) for v in row.values()) + "\n"
        headers = {**self._headers(), "content-type": "text/csv; header=present", "accept": "text/csv"}
        answer = httpx.post(f"{self.url}/predict/{ENDPOINT}", content=body.encode(), headers=headers, timeout=30)
        answer.raise_for_status()
        return answer.text

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    def _put(self, key: str, rows: pd.DataFrame) -> None:
        self._platform.store.put(key, rows.to_csv(index=False).encode())


def wait_for(
    what: str, probe: Callable[[], T], *, timeout_s: float, until: Callable[[T], bool], pause_s: float = 0.2
) -> T:
    """The probe's value once `until` holds.

    Raises:
        TimedOutError: it did not within `timeout_s`; says what was waited for, and the last value.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = probe()
        if until(value):
            return value
        if time.monotonic() > deadline:
            raise TimedOutError(
                f"Waited {timeout_s:.0f} s for {what}; last seen: {value!r}.",
                next_step="See 'mlplatform status' for the logs.",
            )
        time.sleep(pause_s)

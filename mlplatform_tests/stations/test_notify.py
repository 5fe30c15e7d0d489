"""What people are told, and that they are told once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.notifications.apprise import AppriseNotifications
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.core.drift.windows import Window
from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.ports.endpoints import Deployment
from mlplatform.spec.notification import NotifySpec
from mlplatform.stations.evaluation import Evaluation
from mlplatform.stations.notify import Notify

DEPLOYMENT = Deployment("prices/stock", 3, "prices.model", 2, "d" * 64, "refresh", "run-3", "2026-01-01T00:00:00+00:00")


def notify(tmp_path: Path, **spec: Any) -> Notify:
    adapter = AppriseNotifications(
        SqliteItemStore(tmp_path / "items.sqlite"), EnvironmentSecrets({}), log=tmp_path / "log.jsonl", console=False
    )
    return Notify(adapter, NotifySpec(name="team", **spec), system="prices")


def sent(tmp_path: Path) -> list[tuple[str, str, str]]:
    found = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    return [(n["kind"], n["title"], n["body"]) for n in found]


def evaluation(
    number: int, *, failed: tuple[str, ...], drifted: tuple[str, ...] = (), digest: str = "d" * 64
) -> Evaluation:
    names = [*(f for f in failed if f != "drift"), *(f"drift_{d}" for d in drifted)]
    return Evaluation(
        id=f"prices/watch/g000001.w{number:06d}",
        window=Window(digest, number, "a", "b", "c", 2),
        rows=40,
        judged_rows=40,
        model="prices.model",
        generation=1,
        version=1,
        digest=digest,
        judged_at="2026-01-01T00:00:00+00:00",
        metric="r2",
        quality=0.5,
        threshold=0.6,
        drift=tuple({"feature": d, "passed": False} for d in drifted),
        failed=failed,
        reports="reports/",
        checks=tuple(CheckOutcome(n, False, blocking=False, description=f"{n} is off") for n in names),
    )


def test_a_deployment_is_told_with_its_figures(tmp_path: Path) -> None:
    assert notify(tmp_path).deployed(DEPLOYMENT, metrics={"r2": 0.951, "mae": 3.2}) is True
    assert sent(tmp_path) == [
        (
            "success",
            "[prices] prices/stock serves version 2 of prices.model",
            "Generation 3, digest dddddddddddd, because of: refresh.\nOn held-out rows: mae 3.2, r2 0.951.",
        )
    ]


def test_a_failed_gate_is_told_once_a_candidate(tmp_path: Path) -> None:
    told = [notify(tmp_path).gate_failed("prices.model", digest * 64, "r2 0.4 < 0.6") for digest in "aab"]
    assert told == [True, False, True]
    assert "r2 0.4 < 0.6" in sent(tmp_path)[0][2]


def test_a_failed_evaluation_is_told_again_only_when_something_else_fails(tmp_path: Path) -> None:
    told = [
        notify(tmp_path).evaluated(evaluation(k, failed=failed, drifted=drifted))
        for k, (failed, drifted) in enumerate(
            [
                ((), ()),
                (("drift",), ("change",)),
                (("drift",), ("change",)),
                (("quality", "drift"), ("change",)),
                (("quality", "drift"), ("change",)),
                (("drift",), ("change", "sector")),
            ]
        )
    ]
    assert told == [False, True, False, True, False, True]
    assert notify(tmp_path).evaluated(evaluation(9, failed=("drift",), drifted=("change",), digest="e" * 64)) is True
    kind, title, body = sent(tmp_path)[1]
    assert (kind, title) == ("drift", "[prices] prices.model version 1 fails: quality, drift")
    assert body.endswith("- quality: quality is off\n- drift_change: drift_change is off")


def test_a_failed_run_is_told_once(tmp_path: Path) -> None:
    assert [notify(tmp_path).run_failed("run-1", "out of memory") for _ in range(2)] == [True, False]
    assert sent(tmp_path) == [("failure", "[prices] A run of prices failed", "Run run-1: out of memory")]


def test_events_that_are_not_asked_for_are_not_sent(tmp_path: Path) -> None:
    assert notify(tmp_path, events=["failure"]).deployed(DEPLOYMENT) is False
    assert not (tmp_path / "log.jsonl").exists()


def test_that_nobody_can_be_reached_fails_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "log.jsonl").mkdir()
    assert notify(tmp_path).run_failed("run-1", "out of memory") is False
    assert "reached none of: file" in caplog.text

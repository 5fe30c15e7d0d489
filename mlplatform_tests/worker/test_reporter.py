"""Reports are bundled: the newest state of an asset, at most once a period, none lost at the end or by a failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlplatform.adapters.asset_events.dagster import DagsterAssetEvents
from mlplatform.errors import UnavailableError
from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.worker.reporter import Reporter

ASSET = ("prices", "table")


class Kept:
    """An event log that keeps what it is told, and can be away."""

    def __init__(self) -> None:
        self.told: list[tuple[tuple[str, ...], int]] = []
        self.away = False

    def materialized(
        self, asset: Sequence[str], *, metadata: Mapping[str, Any], checks: Sequence[CheckOutcome] = ()
    ) -> None:
        if self.away:
            raise UnavailableError("The event log is away.")
        self.told.append((tuple(asset), int(metadata["rows"])))


def reporter(events: Kept) -> tuple[Reporter, list[float]]:
    now = [0.0]
    return Reporter(lambda: events, 60.0, lambda: now[0]), now  # type: ignore[arg-type,return-value]


def test_an_asset_is_reported_at_once_and_then_once_a_period_with_its_newest_state() -> None:
    events = Kept()
    under_test, now = reporter(events)
    for rows, at in ((1, 0.0), (2, 1.0), (3, 59.0), (4, 60.0)):
        now[0] = at
        under_test.note(ASSET, {"rows": rows}, ())
        under_test.flush()
    assert events.told == [(ASSET, 1), (ASSET, 4)]


def test_what_waits_goes_out_at_the_end() -> None:
    events = Kept()
    under_test, _ = reporter(events)
    for rows in (1, 2):
        under_test.note(ASSET, {"rows": rows}, ())
        under_test.flush(force=rows == 2)
    assert events.told == [(ASSET, 1), (ASSET, 2)]
    assert under_test.flush(force=True) == 0


def test_a_report_that_failed_is_made_later() -> None:
    events = Kept()
    under_test, _ = reporter(events)
    events.away = True
    under_test.note(ASSET, {"rows": 1}, ())
    under_test.flush()
    events.away = False
    under_test.flush(force=True)
    assert events.told == [(ASSET, 1)]


def test_dagster_shows_a_report_without_a_run_with_its_checks(tmp_path: Path) -> None:
    import dagster as dg

    events = DagsterAssetEvents(tmp_path / "dagster", Path("dagster.yaml"))
    check = CheckOutcome("quarantine_empty", False, False, {"waiting": 2, "told": ["a: broken quote"]})
    events.materialized(ASSET, metadata={"rows": 7}, checks=[check])
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        key = dg.AssetKey(list(ASSET))
        latest = instance.get_latest_materialization_event(key)
        assert latest is not None
        assert latest.asset_materialization is not None
        assert latest.asset_materialization.metadata["rows"].value == 7
        record = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [dg.AssetCheckKey(key, "quarantine_empty")]
        )[dg.AssetCheckKey(key, "quarantine_empty")]
        assert record.event is not None
        evaluation = record.event.dagster_event.event_specific_data  # type: ignore[union-attr]
        assert (evaluation.passed, evaluation.metadata["waiting"].value) == (False, 2)
        assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert events.sweep() == []

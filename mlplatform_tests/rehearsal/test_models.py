"""Models, endpoints and profiles of a rehearsal that differ from the scaffolded system's."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform.rehearsal import Wishes
from mlplatform_tests.rehearsal.houses import House, stage

REMOTE = """
name: remote
connections:
  warehouse: {port: warehouse, adapter: redshift, settings: {host: warehouse.invalid, user: me}}
  objects: {port: object_store, adapter: s3, settings: {bucket: far-away}}
  streams: {port: stream, adapter: sqlite}
  jobs: {port: compute, adapter: subprocess}
  endpoints: {port: endpoints, adapter: local}
  tracking: {port: tracking, adapter: mlflow}
  items: {port: item_store, adapter: sqlite}
  secrets: {port: secrets, adapter: environment}
  notifications: {port: notifications, adapter: apprise, settings: {targets: [chat]}}
  asset_events: {port: asset_events, adapter: dagster}
"""
CALLS = """
type: mlplatform.Table
attributes:
  name: calls
  existing: crm_calls
  event_time: at
  columns:
    - {name: at, type: timestamp, nullable: false}
    - {name: day, type: bigint, nullable: false, minimum: 0}
    - {name: agent}
    - {name: seconds, type: bigint, minimum: 0, maximum: 3600}
    - {name: fee, type: "decimal(6,2)", minimum: 0}
    - {name: outcome, nullable: false, domain: [sale, callback, refusal]}
---
type: mlplatform.FeatureSet
attributes:
  name: call_features
  table: calls
  query: calls.sql
  target: outcome
  window: {column: day, last: 60}
  split: {by: time}
  features: [{name: agent, transform: category, missing: keep}, {name: seconds, missing: median}, {name: fee, missing: keep}]
---
type: mlplatform.Model
attributes:
  name: outcomes
  features: call_features
  task: multiclass
  gate: {metric: accuracy, threshold: 0.2, by: day}
---
type: mlplatform.Endpoint
attributes: {name: call_outcome, model: outcomes, keys: [day], max_rows: 7, capture: {mask: [agent]}}
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def remote(house: House) -> House:
    """The scaffolded system in a project whose profile has a warehouse and a store that are not there."""
    (house.root / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "shop"\n')
    (house.root / "profiles").mkdir()
    (house.root / "profiles" / "remote.yaml").write_text(REMOTE)
    house.more["MLPLATFORM_PROFILE"] = "remote"
    house.write("churn")
    return house


def test_no_remote_system_of_the_profile_is_reached_and_queries_are_translated_for_it(remote: House) -> None:
    remote.edit("churn", "max_depth: 6", "max_deep: 6")  # ends at the training: what is asked for lies before it
    report = remote.rehearse("churn")
    assert stage(report, "load").status == "passed"
    assert stage(report, "translate").detail == "'features.sql' can be said in the dialect of redshift"
    assert [s.stage for s in report.failed] == ["train"]


def test_a_query_that_the_profiles_warehouse_cannot_run_fails(remote: House) -> None:
    remote.edit("churn", "FROM churn_table", "FROM churn_table TABLESAMPLE 100 PERCENT", file="features.sql")
    report = remote.rehearse("churn")
    (failed,) = report.failed
    assert failed.error is not None
    assert (failed.stage, failed.error["exit_code"]) == ("translate", 5)
    assert "Redshift cannot run the query" in failed.error["message"]
    assert stage(report, "train").detail == "needs translate of churn_features"


def test_a_connection_that_the_profile_does_not_have_is_named(remote: House) -> None:
    remote.edit("churn", "event_time: happened_on", "event_time: happened_on\n  connection: lake")
    (failed,) = remote.rehearse("churn").failed
    assert failed.error is not None
    assert failed.error["exit_code"] == 4
    assert "Profile 'remote' has no connection 'lake'" in failed.error["message"]


def test_a_training_that_stumbles_over_a_made_up_gap_says_what_it_may_mean(house: House) -> None:
    house.write("churn")
    house.edit("churn", "amount, target", "amount * 2 AS twice, target", file="features.sql")
    house.edit("churn", "{name: amount, missing: keep}", "{name: twice}")
    (failed,) = house.rehearse("churn").failed
    assert failed.error is not None
    assert "field 'twice': expected a number, found nothing" in failed.error["message"]
    assert "Its rows are made up, and nullable columns have no value in some" in failed.error["next_step"]


@pytest.mark.slow
def test_classes_a_split_by_time_masked_fields_and_a_table_of_others(house: House) -> None:
    house.write("calls", CALLS, calls__sql="SELECT day, agent, seconds, fee, outcome FROM crm_calls")
    report = house.rehearse("calls", Wishes(rows=600))
    assert [s.detail for s in report.failed] == []
    assert "accuracy 0." in stage(report, "gate").detail
    predicted = stage(report, "predict")
    assert predicted.rows is not None
    assert stage(report, "capture").detail == f"{-(-predicted.rows // 7)} requests in table call_outcome_capture"


@pytest.mark.slow
def test_records_as_they_are_put_go_through_the_streams_own_transformation(house: House, tmp_path: Path) -> None:
    folder = house.write("churn")
    house.edit("churn", "max_age_s: 1}", "max_age_s: 1, transform: 'mlplatform_tests.rehearsal.test_models:in_words'}")
    (folder / "sample").mkdir()
    lines = [
        f'{{"key": {n}, "on": "2024-0{m}-{d:02}"}}'
        for n, (m, d) in enumerate((m, d) for m in range(1, 10) for d in range(1, 29))
    ]
    (folder / "sample" / "churn_stream.jsonl").write_text("\n".join(lines).replace('"key"', '"id"') + "\n")
    report = house.rehearse("churn")
    assert (stage(report, "load").rows, report.passed) == (252, True)
    assert stage(report, "quarantine").rows == 8


def in_words(record: bytes) -> bytes:
    """The transformation of that test."""
    import json

    given = json.loads(record)
    made = {
        "id": str(given["id"]),
        "happened_on": given["on"],
        "category": "a",
        "amount": given["id"] % 7,
        "target": given["id"] % 7,
    }
    return json.dumps(made).encode()

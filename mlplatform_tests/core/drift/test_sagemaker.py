"""SageMaker's three files, for the sample its documentation's fields are known from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from mlplatform.core.drift.judge import judge
from mlplatform.core.drift.profile import Field
from mlplatform.core.drift.profile_sql import Query, take_baseline, take_profile
from mlplatform.core.drift.sagemaker import constraints, statistics, violations

FIELDS = [Field("amount", "numeric"), Field("plan", "category")]
SAMPLE = "(VALUES (2.0, 'pro'), (4.0, 'pro'), (6.0, 'free'), (8.0, NULL)) AS t(amount, plan)"


@pytest.fixture
def query() -> Iterator[Query]:
    with duckdb.connect() as connection:
        yield lambda sql: connection.execute(sql).to_arrow_table()


def test_statistics_have_moments_buckets_and_a_sketch_that_weighs_all_values(query: Query) -> None:
    document = statistics(take_baseline(query, f"(SELECT * FROM {SAMPLE})", FIELDS))
    amount, plan = document["features"]
    numbers = amount["numerical_statistics"]
    kll = numbers["distribution"].pop("kll")
    assert document["dataset"] == {"item_count": 4}
    assert (amount["name"], amount["inferred_type"]) == ("amount", "Integral")
    assert {k: numbers[k] for k in ("mean", "sum", "std_dev", "min", "max")} == {
        "mean": 5.0,
        "sum": 20.0,
        "std_dev": pytest.approx(2.23606797749979),
        "min": 2.0,
        "max": 8.0,
    }
    assert [b["count"] for b in kll["buckets"]] == pytest.approx([1, 0, 0, 1, 0, 0, 1, 0, 0, 1])
    assert kll["buckets"][0]["lower_bound"] == 2.0
    assert kll["buckets"][0]["upper_bound"] == pytest.approx(2.6)
    assert kll["sketch"]["data"] == [pytest.approx([2, 4, 6, 8])]
    assert plan == {
        "name": "plan",
        "inferred_type": "String",
        "string_statistics": {
            "common": {"num_present": 3, "num_missing": 1},
            "distinct_count": 2.0,
            "distribution": {"categorical": {"buckets": [{"value": "pro", "count": 2}, {"value": "free", "count": 1}]}},
        },
    }


@pytest.mark.parametrize("rows", [1, 5, 127, 128, 129, 5_003, 100_000])
def test_buckets_and_sketch_account_for_every_row(query: Query, rows: int) -> None:
    relation = f"(SELECT ln(i) AS amount FROM range(1, {rows + 1}) AS t(i))"
    document = statistics(take_baseline(query, relation, [Field("amount", "numeric")]))
    kll = document["features"][0]["numerical_statistics"]["distribution"]["kll"]
    assert sum(b["count"] for b in kll["buckets"]) == pytest.approx(rows)
    assert sum(len(level) << k for k, level in enumerate(kll["sketch"]["data"])) == rows
    assert sum(len(level) for level in kll["sketch"]["data"]) < 300


def test_constraints_suggest_completeness_sign_and_domain(query: Query) -> None:
    document = constraints(take_baseline(query, f"(SELECT * FROM {SAMPLE})", FIELDS), threshold=0.2)
    assert document["features"] == [
        {
            "name": "amount",
            "inferred_type": "Integral",
            "completeness": 1.0,
            "num_constraints": {"is_non_negative": True},
        },
        {
            "name": "plan",
            "inferred_type": "String",
            "completeness": 0.75,
            "string_constraints": {"domains": ["free", "pro"]},
        },
    ]
    assert document["monitoring_config"]["distribution_constraints"]["comparison_threshold"] == 0.2


def judged(query: Query, rows: str) -> dict[tuple[str, str], str]:
    """Each row a hundred times: four rows alone differ by chance."""
    baseline = take_baseline(query, f"(SELECT t.* FROM {SAMPLE}, range(100))", FIELDS)
    sample = take_profile(query, f"(SELECT t.* FROM (VALUES {rows}) AS t(amount, plan), range(100))", baseline)
    drifts = judge(baseline, sample, threshold=0.2, completeness=0.05)
    found: list[dict[str, Any]] = violations(baseline, sample, drifts)["violations"]
    return {(v["feature_name"], v["constraint_check_type"]): v["description"] for v in found}


def test_no_violation_where_nothing_changed(query: Query) -> None:
    assert judged(query, "(2.0, 'pro'), (4.0, 'pro'), (6.0, 'free'), (8.0, NULL)") == {}


def test_each_kind_of_violation_has_the_words_that_parsers_look_for(query: Query) -> None:
    found = judged(query, "(-2.5, NULL), (-3.0, 'gold'), (-1.0, NULL), (-1.0, 'pro')")
    assert set(found) == {
        ("amount", "data_type_check"),
        ("amount", "baseline_drift_check"),
        ("amount", "non_negative_check"),
        ("plan", "completeness_check"),
        ("plan", "baseline_drift_check"),
        ("plan", "categorical_values_check"),
    }
    assert "Observed: Only 75.0% of data is Integral." in found["amount", "data_type_check"]
    assert found["plan", "completeness_check"].endswith("Expected: 75.0%, observed: 50.0%")
    assert "exceeds threshold: 0.2" in found["plan", "baseline_drift_check"]
    assert found["plan", "categorical_values_check"].startswith("Value: 0.5 does not meet the constraint requirement!")


def test_of_a_personal_feature_no_smallest_or_largest_value_stands_in_any_file(query: Query) -> None:
    fields = [Field("amount", "numeric", personal=True)]
    rows = "(SELECT i * 10 + 0.25 AS amount FROM range(20) AS t(i))"
    baseline = take_baseline(query, rows, fields)
    sample = take_profile(query, "(SELECT -7391.5 AS amount FROM range(30))", baseline)
    drifts = judge(baseline, sample, threshold=0.1, completeness=0.1)
    (amount,) = statistics(baseline)["features"]
    assert set(amount["numerical_statistics"]) == {"common", "mean", "std_dev"}
    assert constraints(baseline, threshold=0.1)["features"][0]["num_constraints"] == {"is_non_negative": False}
    assert {v["constraint_check_type"] for v in violations(baseline, sample, drifts)["violations"]} == {
        "baseline_drift_check"
    }

"""The contract of the expectations port, over every adapter."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from mlplatform.adapters.expectations.great_expectations import GreatExpectations
from mlplatform.errors import SpecError
from mlplatform.ports.expectations import Expectations
from mlplatform.spec.feature_set import ExpectationSpec

ROWS = pa.table({"ticker": ["A", "B", "C"], "price": [1.0, None, 300.0]})
NOT_NULL = ExpectationSpec(type="expect_column_values_to_not_be_null", kwargs={"column": "price"})
BETWEEN = ExpectationSpec(
    type="expect_column_values_to_be_between",
    kwargs={"column": "price", "min_value": 0, "max_value": 100},
    severity="warn",
)
COUNT = ExpectationSpec(type="expect_table_row_count_to_equal", kwargs={"value": 3})


@pytest.fixture(params=["great_expectations"])
def expectations(request: pytest.FixtureRequest, tmp_path: Path) -> Expectations:
    return {"great_expectations": GreatExpectations}[request.param](tmp_path / "docs")


def test_results_come_in_the_order_asked_with_what_was_observed(expectations: Expectations) -> None:
    report = expectations.check("prices/features", ROWS, [NOT_NULL, BETWEEN, COUNT], run="one")
    assert [(r.type, r.passed, r.severity) for r in report.results] == [
        ("expect_column_values_to_not_be_null", False, "block"),
        ("expect_column_values_to_be_between", False, "warn"),
        ("expect_table_row_count_to_equal", True, "block"),
    ]
    assert report.results[0].observed["unexpected_count"] == 1
    assert report.results[1].observed["partial_unexpected_list"] == [300.0]
    assert report.results[2].observed["observed_value"] == 3
    assert not report.passed
    json.dumps([r.observed for r in report.results])


def test_only_a_warning_that_fails_does_not_fail_the_report(expectations: Expectations) -> None:
    assert expectations.check("prices/features", ROWS, [BETWEEN, COUNT], run="one").passed


def test_the_page_lists_every_run(expectations: Expectations) -> None:
    expectations.check("prices/features", ROWS, [COUNT], run="first_run")
    page = expectations.check("prices/features", ROWS, [COUNT], run="second_run").page
    assert page is not None
    text = page.read_text()
    assert "first_run" in text
    assert "second_run" in text


def test_pages_of_old_runs_go_and_the_newest_stay(
    expectations: Expectations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlplatform.adapters.expectations.great_expectations.KEPT_RUNS", 2)
    pages = [expectations.check("prices/features", ROWS, [COUNT], run=f"run_{k}").page for k in range(4)]
    assert pages[-1] is not None
    text = pages[-1].read_text()
    assert [f"run_{k}" in text for k in range(4)] == [False, False, True, True]
    assert len(list((tmp_path / "docs").rglob("frame-rows.html"))) == 2


def test_checks_of_several_threads_keep_to_themselves(expectations: Expectations) -> None:
    tables = [ROWS.slice(0, n) for n in (1, 2, 3)]
    with ThreadPoolExecutor(3) as pool:
        reports = list(
            pool.map(lambda t: expectations.check("prices/features", t, [COUNT], run=f"n{t.num_rows}"), tables)
        )
    assert [r.results[0].observed["observed_value"] for r in reports] == [1, 2, 3]


def test_no_expectations_are_no_results_and_no_page(expectations: Expectations) -> None:
    report = expectations.check("prices/features", ROWS, [], run="one")
    assert (report.results, report.page, report.passed) == ((), None, True)


def test_an_expectation_that_fails_to_run_did_not_pass_and_says_why(expectations: Expectations) -> None:
    mean = ExpectationSpec(type="expect_column_mean_to_be_between", kwargs={"column": "ticker", "max_value": 1})
    (result,) = expectations.check("prices/features", ROWS, [mean], run="one").results
    assert not result.passed
    assert "mean" in result.error


@pytest.mark.parametrize(
    ("type_", "kwargs", "message"),
    [
        (
            "expect_column_values_to_be_betwen",
            {"column": "price"},
            "expectation 1 'expect_column_values_to_be_betwen': there is no such expectation. "
            "Nearest: expect_column_values_to_be_between",
        ),
        ("expect_column_values_to_not_be_null", {"column": "prize"}, "no column 'prize'; they have: ticker, price"),
        ("expect_column_values_to_not_be_null", {}, "column: field required"),
        ("expect_column_values_to_not_be_null", {"column": "price", "mostly": 2}, "mostly"),
        ("expect_table_row_count_to_equal", {"value": 3, "valve": 3}, "valve: extra fields not permitted"),
    ],
)
def test_a_wrong_expectation_is_refused_by_name(
    expectations: Expectations, type_: str, kwargs: dict[str, object], message: str
) -> None:
    with pytest.raises(SpecError, match=f"Suite 'prices/features', .*{message}"):
        expectations.check("prices/features", ROWS, [ExpectationSpec(type=type_, kwargs=kwargs)], run="one")


def test_great_expectations_is_not_imported_before_the_first_check() -> None:
    code = (
        "import sys; from mlplatform.adapters.expectations.great_expectations import GreatExpectations; "
        "GreatExpectations(None); print('great_expectations' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_of_a_personal_column_counts_are_told_and_no_value(expectations: Expectations, tmp_path: Path) -> None:
    rows = pa.table({"name": ["Qvxz-one", "Qvxz-two", None, "Ann"], "age": [1, 2, 3, 400]})
    asked = [
        ExpectationSpec(type="expect_column_values_to_be_in_set", kwargs={"column": "name", "value_set": ["Ann"]}),
        ExpectationSpec(
            type="expect_column_distinct_values_to_be_in_set", kwargs={"column": "name", "value_set": ["Ann"]}
        ),
        ExpectationSpec(
            type="expect_column_most_common_value_to_be_in_set", kwargs={"column": "name", "value_set": ["Ann"]}
        ),
        ExpectationSpec(type="expect_column_max_to_be_between", kwargs={"column": "name", "max_value": 5}),
        ExpectationSpec(type="expect_column_mean_to_be_between", kwargs={"column": "name", "max_value": 1}),
        ExpectationSpec(
            type="expect_column_unique_value_count_to_be_between", kwargs={"column": "name", "max_value": 1}
        ),
        ExpectationSpec(type="expect_compound_columns_to_be_unique", kwargs={"column_list": ["name", "age"]}),
        ExpectationSpec(type="expect_column_pair_values_to_be_equal", kwargs={"column_A": "age", "column_B": "name"}),
        ExpectationSpec(type="expect_column_values_to_be_between", kwargs={"column": "age", "max_value": 120}),
    ]
    report = expectations.check("people/features", rows, asked, run="one", personal=frozenset({"name"}))
    assert "Qvxz" not in json.dumps([[r.observed, r.error] for r in report.results])
    assert [r.passed for r in report.results] == [False, False, False, False, False, False, True, False, False]
    assert report.results[0].observed["unexpected_count"] == 2
    assert report.results[5].observed["observed_value"] == 3
    assert report.results[8].observed["partial_unexpected_list"] == [400]
    told = [p for p in tmp_path.rglob("*") if p.is_file() and b"Qvxz" in p.read_bytes()]
    assert told == []
    assert report.page is not None
    assert "one" in report.page.read_text()
    assert len(list(report.page.parent.glob("validations/**/*.html"))) == 1

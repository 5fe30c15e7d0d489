"""Data tests before training: what blocks, what only warns, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mlplatform.adapters.expectations.great_expectations import GreatExpectations
from mlplatform.errors import SpecError
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.stations.data_tests import DataTests

ROWS = pa.table({"price": [1.0, 2.0, None], "sector": ["Energy", "Energy", "Utilities"]})
NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "price"}}
SECTORS = {
    "type": "expect_column_distinct_values_to_be_in_set",
    "kwargs": {"column": "sector", "value_set": ["Energy"]},
    "severity": "warn",
}


def data_tests(tmp_path: Path, *expectations: dict[str, Any]) -> DataTests:
    spec = FeatureSetSpec.model_validate(
        {
            "name": "stock_features",
            "table": "stock_table",
            "query": "features.sql",
            "target": "price",
            "features": [{"name": "sector", "transform": "category"}],
            "split": {"key": ["sector"]},
            "expectations": list(expectations),
        }
    )
    return DataTests(GreatExpectations(tmp_path), spec, system="prices")


def test_a_failed_expectation_blocks_and_says_what_was_observed(tmp_path: Path) -> None:
    outcome = data_tests(tmp_path, NOT_NULL, SECTORS).check(ROWS, run="run_1")
    assert (outcome.name, outcome.passed, outcome.blocking) == ("data_tests", False, True)
    assert {k: outcome.metadata[k] for k in ("rows", "expectations", "failed", "warnings")} == {
        "rows": 3,
        "expectations": 2,
        "failed": 1,
        "warnings": 1,
    }
    assert outcome.metadata["results"][0] == {
        "expectation": "expect_column_values_to_not_be_null(column='price')",
        "severity": "block",
        "passed": False,
        "observed": "1 of 3 unexpected (None)",
    }
    assert Path(outcome.metadata["data_docs"]).is_file()


def test_a_warning_is_shown_and_stops_nothing(tmp_path: Path) -> None:
    outcome = data_tests(tmp_path, SECTORS).check(ROWS, run="run_1")
    assert (outcome.passed, outcome.metadata["warnings"]) == (True, 1)
    assert "Utilities" in outcome.description


def test_no_expectations_pass(tmp_path: Path) -> None:
    outcome = data_tests(tmp_path).check(ROWS, run="run_1")
    assert (outcome.passed, outcome.metadata["expectations"], outcome.description) == (True, 0, "")


def test_an_expectation_on_a_column_that_is_not_there_is_the_yamls_fault(tmp_path: Path) -> None:
    wrong = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "prize"}}
    with pytest.raises(SpecError, match=r"'prices/stock_features', expectation 1 .* no column 'prize'"):
        data_tests(tmp_path, wrong).check(ROWS, run="run_1")


@pytest.mark.parametrize(
    ("expectations", "read"),
    [
        ((NOT_NULL, SECTORS, NOT_NULL), ["price", "sector"]),
        ((), ["price"]),
        ((NOT_NULL, {"type": "expect_table_column_count_to_equal", "kwargs": {"value": 2}}), None),
        (({**NOT_NULL, "kwargs": {"column": "prise"}},), None),
        (({**NOT_NULL, "kwargs": {"column": "price", "row_condition": 'sector == "Energy"'}},), None),
        (({"type": "expect_column_pair_values_to_be_equal", "kwargs": {"column_A": "price", "column_B": "x"}},), None),
    ],
)
def test_only_columns_that_are_looked_at_need_be_read(
    tmp_path: Path, expectations: tuple[dict[str, Any], ...], read: list[str] | None
) -> None:
    assert data_tests(tmp_path, *expectations).columns() == read

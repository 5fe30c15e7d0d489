"""Results of expectations on personal columns as they may be kept: counts and shares, and no value.

They are masked in memory, before the library's stores and pages see them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlplatform.core.tables.schema import MASKED
from mlplatform.spec.feature_set import ExpectationSpec

COUNTS = (
    "element_count",
    "missing_count",
    "missing_percent",
    "unexpected_count",
    "unexpected_percent",
    "unexpected_percent_nonmissing",
    "unexpected_percent_total",
)
_OBSERVES_A_COUNT = (
    "expect_column_proportion_of_non_null_values_to_be_between",
    "expect_column_proportion_of_unique_values_to_be_between",
    "expect_column_unique_value_count_to_be_between",
    "expect_table_column_count_to_be_between",
    "expect_table_column_count_to_equal",
    "expect_table_row_count_to_be_between",
    "expect_table_row_count_to_equal",
)
_EXCEPTION = ("exception_message", "exception_traceback")


def is_on(spec: ExpectationSpec, personal: frozenset[str]) -> bool:
    """Whether an expectation looks at a personal column."""
    return bool(personal.intersection(_columns(spec)))


def mask(results: Iterable[Any], personal: frozenset[str]) -> None:
    """Take values out of the library's results on personal columns, in place."""
    for result in results:
        config = result.expectation_config
        spec = ExpectationSpec(type=config.type, kwargs=config.kwargs)
        if not is_on(spec, personal):
            continue
        found = result.result or {}
        result.result = {name: found[name] for name in COUNTS if name in found}
        if "observed_value" in found:
            result.result["observed_value"] = found["observed_value"] if config.type in _OBSERVES_A_COUNT else MASKED
        _mask_exception(result.exception_info or {})


def _columns(spec: ExpectationSpec) -> Iterable[str]:
    for name, value in spec.kwargs.items():
        if name.startswith("column"):
            yield from [value] if isinstance(value, str) else value if isinstance(value, list | tuple | set) else ()


def _mask_exception(info: dict[str, Any]) -> None:
    for entry in [info] if "raised_exception" in info else [e for e in info.values() if isinstance(e, dict)]:
        for name in _EXCEPTION:
            if entry.get(name):
                entry[name] = f"{MASKED} (on a personal column)"

"""Data tests: a feature set's expectations on the training rows, before anything is trained on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.ports.expectations import ExpectationResult, Expectations
from mlplatform.spec.feature_set import FeatureSetSpec

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "data_tests"


class DataTests:
    """Runs the expectations of one feature set; `personal`: its columns whose values are told nowhere."""

    def __init__(
        self,
        expectations: Expectations,
        features: FeatureSetSpec,
        *,
        system: str,
        personal: frozenset[str] = frozenset(),
    ) -> None:
        self._expectations = expectations
        self._personal = personal
        self._features = features
        self._suite = f"{system}/{features.name}"

    def columns(self) -> list[str] | None:
        """What must be read of the rows: the columns that expectations name; None for all, where one might look at others."""
        spec = self._features
        window = [spec.window.column] if spec.window else []
        known = {spec.target, *(f.name for f in spec.features), *spec.split.key, *window}
        named: dict[str, None] = {}
        for expectation in spec.expectations:
            column = expectation.kwargs.get("column")
            if not expectation.type.startswith("expect_column_") or "row_condition" in expectation.kwargs:
                return None
            if column not in known:
                return None
            named[str(column)] = None
        return list(named) or [spec.target]

    def check(self, rows: pa.Table, *, run: str) -> CheckOutcome:
        """One blocking outcome over all expectations; those that only warn are shown, and fail nothing.

        Args:
            rows: the training rows, of them `columns` at least. run: names this run in the Data Docs.

        Raises:
            SpecError: an expectation, argument or column that there is not.
        """
        report = self._expectations.check(
            self._suite, rows, self._features.expectations, run=run, personal=self._personal
        )
        failed = [r for r in report.results if not r.passed]
        metadata: dict[str, Any] = {
            "rows": rows.num_rows,
            "expectations": len(report.results),
            "failed": sum(r.severity == "block" for r in failed),
            "warnings": sum(r.severity == "warn" for r in failed),
            "results": [_row(r) for r in report.results],
        }
        if report.page is not None:
            metadata["data_docs"] = str(report.page)
        said = "; ".join(f"{_words(r)}: {_observed(r)}" for r in failed)
        return CheckOutcome(NAME, report.passed, blocking=True, metadata=metadata, description=said)


def _row(result: ExpectationResult) -> dict[str, Any]:
    return {
        "expectation": _words(result),
        "severity": result.severity,
        "passed": result.passed,
        "observed": _observed(result),
    }


def _words(result: ExpectationResult) -> str:
    return f"{result.type}({', '.join(f'{k}={v!r}' for k, v in result.kwargs.items())})"


def _observed(result: ExpectationResult) -> str:
    """What was found, in few words: an aggregate's value, or how many of how many values did not fit, with samples."""
    if result.error:
        return result.error
    found = result.observed
    if "unexpected_count" not in found:
        return str(found.get("observed_value", ""))
    samples = ", ".join(map(str, found.get("partial_unexpected_list", [])[:5]))
    return f"{found['unexpected_count']} of {found.get('element_count')} unexpected" + (
        f" ({samples})" if samples else ""
    )

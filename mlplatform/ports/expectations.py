"""Expectations: data tests on a table, with observed values as evidence and pages for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mlplatform.spec.feature_set import ExpectationSpec

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ExpectationResult:
    """One expectation's outcome.

    Attributes:
        type, kwargs: the expectation as it was asked; severity: whether a failure blocks.
        observed: what was found, JSON-able: an aggregate's value, or counts and samples of what did not fit.
        error: why it could not be evaluated; "" where it was. One that could not be evaluated did not pass.
    """

    type: str
    kwargs: Mapping[str, Any]
    severity: Literal["block", "warn"]
    passed: bool
    observed: Mapping[str, Any]
    error: str = ""


@dataclass(frozen=True)
class ExpectationReport:
    """Outcomes in the order asked, and the page (static HTML) that shows them; None where no pages are written."""

    results: tuple[ExpectationResult, ...]
    page: Path | None = None

    @property
    def passed(self) -> bool:
        """Whether every expectation that blocks passed."""
        return all(r.passed for r in self.results if r.severity == "block")


class Expectations(Protocol):
    """Great Expectations' role."""

    def check(
        self,
        suite: str,
        table: pa.Table,
        expectations: Sequence[ExpectationSpec],
        *,
        run: str,
        personal: frozenset[str] = frozenset(),
    ) -> ExpectationReport:
        """Evaluate `expectations` on all rows of `table`.

        Args:
            suite: name under which the pages of its runs stand together, ``<system>/<station>``.
            run: name of this run in those pages.
            personal: columns of which nothing but counts is told, in results and pages alike.

        Raises:
            SpecError: an expectation or argument that there is not, or a column the table has not; names the nearest.
        """
        ...

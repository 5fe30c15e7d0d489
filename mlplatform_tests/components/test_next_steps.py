"""What helps against an error stands on its run's page, whether the error says it or its kind does."""

from __future__ import annotations

import dagster as dg
import pytest

from mlplatform.errors import DataError, PlatformError, StateError


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (StateError("The ledger is damaged.", next_step="Restore it."), ["The ledger is damaged. Restore it."]),
        (DataError("Row 1 is no row."), ["Row 1 is no row.", f"→ {DataError.fallback}"]),
    ],
    ids=["its own", "of its kind"],
)
def test_a_failed_run_says_what_to_do(error: PlatformError, lines: list[str]) -> None:
    @dg.asset
    def failing() -> None:
        raise error

    result = dg.materialize([failing], raise_on_error=False)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    told = failure.step_failure_data.error
    assert told is not None
    assert told.cause is not None
    assert told.cause.message == f"mlplatform.errors.{type(error).__name__}: " + "\n".join(lines) + "\n"

"""Every kind of error says what helps against its kind, where an error itself says nothing better."""

from __future__ import annotations

import pytest

from mlplatform.errors import DataError, PlatformError, StateError


def kinds(kind: type[PlatformError] = PlatformError) -> list[type[PlatformError]]:
    """`kind` and those below it that the tree of errors itself has."""
    below = [k for k in kind.__subclasses__() if k.__module__ == "mlplatform.errors"]
    return [kind, *(k for b in below for k in kinds(b))]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_a_kind_of_errors_has_a_next_step_of_its_own(kind: type[PlatformError]) -> None:
    assert vars(kind)["fallback"] == kind("It failed.").next_step
    assert kind.fallback


def test_the_step_of_an_error_comes_before_that_of_its_kind() -> None:
    assert DataError("Row 1 is wrong.", next_step="Send another.").next_step == "Send another."


def test_an_errors_text_has_its_own_step_and_not_that_of_its_kind() -> None:
    assert str(StateError("It is damaged.")) == "It is damaged."
    assert str(StateError("It is damaged.", next_step="Mend it.")) == "It is damaged. Mend it."

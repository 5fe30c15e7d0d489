"""Which changes of a signature break callers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlplatform.core.packages.manifest import InputField, Signature
from mlplatform.core.rollout.signature_change import breaking_changes

SECTOR = InputField("sector", "varchar")
CHANGE = InputField("change", "double", missing="keep", minimum=-10.0)
OLD = Signature((SECTOR, CHANGE), "regression", "price")


def with_change(**changes: object) -> Signature:
    return replace(OLD, inputs=(SECTOR, replace(CHANGE, **changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (OLD, []),
        (replace(OLD, inputs=(CHANGE, SECTOR)), []),
        (replace(OLD, target="close"), []),
        (replace(OLD, inputs=(SECTOR,)), ["field 'change' is gone"]),
        (replace(OLD, inputs=(SECTOR, CHANGE, InputField("volume", "double"))), ["field 'volume' is new and required"]),
        (replace(OLD, inputs=(SECTOR, CHANGE, InputField("volume", "double", missing="keep"))), []),
        (with_change(missing="median"), []),
        (with_change(missing="refuse"), ["field 'change' may no longer be missing"]),
        (with_change(type="varchar"), ["field 'change' was double, is varchar"]),
        (with_change(minimum=None), []),
        (with_change(minimum=0.0), ["field 'change' has minimum 0, had -10"]),
        (with_change(maximum=5.0), ["field 'change' has maximum 5, had none"]),
        (
            replace(OLD, inputs=(replace(SECTOR, unseen="refuse"), CHANGE)),
            ["field 'sector' no longer takes unseen values"],
        ),
        (replace(OLD, task="binary", classes=("a", "b")), ["task regression became binary"]),
    ],
)
def test_breaking_changes(new: Signature, expected: list[str]) -> None:
    assert breaking_changes(OLD, new) == expected


def test_other_classes_break_callers_another_order_does_not() -> None:
    old = Signature((SECTOR,), "binary", "x", ("no", "yes"))
    assert breaking_changes(old, replace(old, classes=("yes", "no"))) == []
    assert breaking_changes(old, replace(old, classes=("no", "maybe"))) == ["classes no, yes became no, maybe"]

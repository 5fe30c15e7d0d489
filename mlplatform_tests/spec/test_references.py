"""Settings of a profile refer to the environment, and nothing else is taken for a reference."""

from __future__ import annotations

from typing import Any

import pytest

from mlplatform.spec.references import resolve

ENV = {"A": "one", "B": "two", "EMPTY": "", "ODD": "${A}"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${A}", "one"),
        ("arn:${A}:${B}/x", "arn:one:two/x"),
        ("${NONE:-three}", "three"),
        ("${EMPTY:-three}", "three"),
        ("${A:-three}", "one"),
        ("${ODD}", "${A}"),
        ("$${A}", "${A}"),
        ("$A", "$A"),
        (5, 5),
        (["${A}", {"b": "${B}"}], ["one", {"b": "two"}]),
        (["${NONE:-}", "x"], ["x"]),
    ],
)
def test_a_reference_is_replaced_once(value: Any, expected: Any) -> None:
    found = resolve({"key": value}, ENV)
    assert found.settings == {"key": expected}
    assert (found.unset, found.faults) == ({}, {})


def test_what_comes_out_empty_is_left_to_the_settings_default() -> None:
    assert resolve({"prefix": "${NONE:-}", "kept": ""}, ENV).settings == {"kept": ""}


def test_what_is_not_there_is_told_by_its_path() -> None:
    found = resolve({"a": {"b": ["${A}", "${NONE}-${EMPTY}"]}}, ENV)
    assert found.unset == {"a.b[1]": ("NONE", "EMPTY")}
    assert found.origins == {"a.b[0]": ("A",), "a.b[1]": ("NONE", "EMPTY")}


@pytest.mark.parametrize("value", ["${}", "${A", "${1A}", "${A-b}"])
def test_what_is_no_reference_is_a_fault(value: str) -> None:
    assert resolve({"key": value}, ENV).faults == {"key": value}

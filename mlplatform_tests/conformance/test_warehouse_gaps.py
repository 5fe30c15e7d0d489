"""What an engine skips of the suite is declared, and is a test of the suite."""

from __future__ import annotations

import re
from pathlib import Path

from mlplatform_tests.conformance.warehouse_engines import ENGINES, gap
from mlplatform_tests.conformance.warehouses import ADAPTERS


def test_the_engines_are_the_adapters_of_the_suite() -> None:
    assert sorted(engine.case or engine.adapter for engine in ENGINES) == sorted(ADAPTERS)


def test_what_a_gap_skips_are_tests_of_the_suite() -> None:
    files = Path(__file__).parent.glob("test_warehouse_*.py")
    there = {name for file in files for name in re.findall(r"^def (test_\w+)\(", file.read_text(), re.M)}
    assert {test for engine in ENGINES for gap in engine.gaps for test in gap.tests} <= there


def test_a_gap_is_one_engines_own() -> None:
    found = gap("ducklake", "test_an_unknown_user_is_refused_by_name")
    assert found is not None
    assert found.what == "logins and permissions"
    assert gap("redshift", "test_an_unknown_user_is_refused_by_name") is None

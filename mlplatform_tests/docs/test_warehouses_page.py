"""The page on warehouses says what their adapters declare, and what their tests cannot show."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from mlplatform.ports.warehouse import WarehouseCapabilities
from mlplatform_tests.conformance.warehouse_engines import ENGINES
from mlplatform_tests.conformance.warehouse_page import MEANINGS, page
from mlplatform_tests.conformance.warehouses import ADAPTERS

PAGE = Path(__file__).parents[2] / "docs" / "warehouses.md"


def test_the_page_is_in_step_with_the_adapters() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: make docs"


def test_every_adapter_of_the_suite_is_on_the_page() -> None:
    """A suite's name begins with its adapter's; more may say how that is set up."""
    assert {engine.adapter for engine in ENGINES} >= {name.partition("-")[0] for name in ADAPTERS}


def test_every_capability_has_a_meaning() -> None:
    assert {field.name for field in fields(WarehouseCapabilities)} == set(MEANINGS)

"""The contract of a versioned warehouse: its snapshots are listed, and each shows the tables as they were."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlplatform.ports.versions import Versioned
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import HEADER, Case, case, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]


def test_a_warehouse_lists_its_versions_if_and_only_if_it_keeps_them(case: Case) -> None:
    assert isinstance(case.warehouse, Versioned) == case.warehouse.capabilities.snapshots


def test_versions_are_in_order_and_the_newest_holds_what_was_loaded_last(case: Case) -> None:
    if not isinstance(case.warehouse, Versioned):
        pytest.skip("it keeps no versions")
    before, started = case.warehouse.versions()[-1], datetime.now(UTC)
    case.load("in/a.csv", HEADER + b"A,,1,1,2020-01-01\n")
    versions = case.warehouse.versions()
    times = [v.made_at for v in versions]
    assert times == sorted(times)
    assert started <= times[-1] <= datetime.now(UTC)
    counts = [
        case.warehouse.query("SELECT count(*) AS n FROM prices", at=v.version).to_pylist()[0]["n"]
        for v in (before, versions[-1])
    ]
    assert counts == [0, 1]

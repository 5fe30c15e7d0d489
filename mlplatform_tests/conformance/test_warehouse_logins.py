"""The contract of a warehouse that asks who comes: who is let in, what he may do, and what he is told where he may not."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable

import pytest

from mlplatform.errors import PermissionDeniedError, exit_code
from mlplatform.ports.warehouse import Warehouse
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouse_servers import WarehouseServer
from mlplatform_tests.conformance.warehouses import HEADER, PRICES, Case, case, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

WRONG = "wr0ng-w0rd"
ONE = "SELECT 1 AS one"


def refused(action: Callable[[], object]) -> str:
    """What who is not let in is told; nothing of it, and of what it came from, tells the password."""
    with pytest.raises(PermissionDeniedError) as told:
        action()
    error = told.value
    assert exit_code(error) == 8
    assert error.own_step
    for found in (error, error.__cause__, error.__context__):
        assert WRONG not in f"{found}{getattr(found, 'args', '')}"
    text = str(error)
    with warnings.catch_warnings():
        # A driver leaves the socket of a login that was refused to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        del told, error, found
        gc.collect()
    return text


def test_a_wrong_password_is_refused_with_host_user_and_secret_by_name(case: Case, server: WarehouseServer) -> None:
    wrong = server.opened(password=WRONG)
    told = refused(lambda: wrong.query(ONE))
    for named in (server.where, f"'{server.user}'", f"'{server.secret}'"):
        assert named in told
    assert server.opened().query(ONE).to_pylist() == [{"one": 1}]
    assert case.count() == 0


def test_an_unknown_user_is_refused_by_name(server: WarehouseServer) -> None:
    told = refused(lambda: server.opened(user="nobody_here").query(ONE))
    for named in (server.where, "'nobody_here'", f"'{server.secret}'"):
        assert named in told


def test_a_load_with_a_wrong_password_changes_nothing_and_the_right_one_loads(
    case: Case, server: WarehouseServer
) -> None:
    case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    plan = case.plan("in/b.csv", HEADER + b"B,,1,,2020-01-01\n")
    wrong: Warehouse = server.opened(password=WRONG)
    refused(lambda: wrong.load(plan, PRICES, case.store))
    assert case.count() == 1
    assert server.opened().load(plan, PRICES, case.store).loaded == 1


def test_who_may_only_read_reads_and_is_told_which_table_he_may_not_load(case: Case, server: WarehouseServer) -> None:
    case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    plan = case.plan("in/b.csv", HEADER + b"B,,1,,2020-01-01\n")
    door = server.reader()
    assert door.warehouse.query("SELECT ticker FROM prices").to_pylist() == [{"ticker": "A"}]
    told = refused(lambda: door.warehouse.load(plan, PRICES, case.store))
    for named in ("'prices'", "'in/b.csv'", f"'{door.user}'"):
        assert named in told
    assert case.count() == 1
    assert case.warehouse.load(plan, PRICES, case.store).loaded == 1


def test_who_may_not_read_a_table_is_told_which(case: Case, server: WarehouseServer) -> None:
    case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    door = server.stranger()
    told = refused(lambda: door.warehouse.query("SELECT ticker FROM prices"))
    assert door.hidden in told.lower()
    assert f"'{door.user}'" in told

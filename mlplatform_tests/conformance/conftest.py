"""Which tests of the warehouse contract an engine skips, as its gaps say; and which are slow on Hive, where Spark takes a third of a second for what others do at once,
on a team's DuckLake, whose catalogue takes a second to make, and on Snowflake's stand-in, which rewrites each statement.

What a record's fate is, staging decides before a warehouse comes in; samples and profiles are SQL that every engine
runs. `make test` shows both there once, and runs all else: loads, reads, erasures (a few on Hive), evolution, unloads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.snowflake_warehouse import snowflake_server
from mlplatform_tests.conformance.team_ducklake import team_lake
from mlplatform_tests.conformance.warehouse_engines import gap
from mlplatform_tests.conformance.warehouse_servers import WarehouseServer
from mlplatform_tests.conformance.warehouses import ADAPTERS, Case

__all__ = ["ministack_server", "snowflake_server", "team_lake"]

LONG = (
    "test_warehouse_dirt",
    "test_warehouse_dirt_apart",
    "test_warehouse_hostile",
    "test_warehouse_samples",
    "test_warehouse_profiles",
    "test_warehouse_pulls",
    "test_warehouse_logins",
    "test_warehouse_interruptions",
    "test_warehouse_processes",
    "test_warehouse_frames",
    "test_warehouse_parts",
    "test_warehouse_snapshots",
    "test_warehouse_values",
    "test_warehouse_values_out",
)
LONG_ON = {"hive": ("test_warehouse_erasure",), "ducklake": ("test_warehouse_processes",)}
"""By adapter, what is long on it besides: an erasure writes files anew there; DuckLake's processes have tests of their own."""
SLOW = ("hive", "ducklake-team", "snowflake")
SHORT = (
    "test_a_csv_record_that_does_not_fit_is_quarantined_alone",
    "test_hostile_names_and_values_are_only_text",
    "test_null_and_the_empty_text_are_two_things",
    "test_values_of_every_type_come_back_as_they_went_in",
    "test_shares_are_disjoint_and_together_all_rows",
    "test_random_rows_are_those_with_the_smallest_hash_of_seed_and_key",
    "test_rows_of_one_key_go_and_the_book_says_how_many",
    "test_only_the_named_records_leave_the_quarantine",
    "test_loads_go_on_after_an_erasure",
    "test_a_wrong_password_is_refused_with_host_user_and_secret_by_name",
    "test_who_may_only_read_reads_and_is_told_which_table_he_may_not_load",
    "test_a_query_answers_although_its_session_died_before_it",
    "test_who_is_stopped_takes_his_query_along",
    "test_a_frame_comes_back_from_the_table_that_its_types_made",
)


@pytest.fixture
def server(case: Case) -> Iterator[WarehouseServer]:
    """The server behind the case. An engine without one says in its gaps that it skips the test."""
    if case.server is None:
        assert case.name not in ADAPTERS, "no gap says why it has no server"
        pytest.skip("its case has no server")
    yield case.server
    case.server.mend()


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        call = getattr(item, "callspec", None)
        adapter = call.params.get("case") if call is not None else None
        if (missing := gap(str(adapter), item.name.partition("[")[0])) is not None:
            item.add_marker(pytest.mark.skip(reason=f"{missing.what}: {missing.why}"))
        long = (*(LONG if adapter in SLOW else ()), *LONG_ON.get(str(adapter), ()))
        if item.path.stem in long and item.name.partition("[")[0] not in SHORT:
            item.add_marker(pytest.mark.slow)

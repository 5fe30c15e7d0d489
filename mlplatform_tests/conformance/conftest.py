"""Which tests of the warehouse contract are slow on Hive: Spark takes a third of a second for what others do at once.

What a record's fate is, staging decides before a warehouse comes in; samples and profiles are SQL that every engine
runs. `make test` shows both on Hive once, and runs all else there: loads, reads, erasures, evolution, unloads.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from mlplatform_tests.conformance.snowflake_warehouse import snowflake_server

__all__ = ["snowflake_server"]

LONG = ("test_warehouse_dirt", "test_warehouse_dirt_apart", "test_warehouse_samples", "test_warehouse_profiles")
SHORT = (
    "test_a_csv_record_that_does_not_fit_is_quarantined_alone",
    "test_hostile_names_and_values_are_only_text",
    "test_null_and_the_empty_text_are_two_things",
    "test_random_rows_are_those_with_the_smallest_hash_of_seed_and_key",
)


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        name, _, parameters = item.name.partition("[")
        if item.path.stem in LONG and name not in SHORT and "hive" in parameters.rstrip("]").split("-"):
            item.add_marker(pytest.mark.slow)

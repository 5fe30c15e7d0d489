"""The SQL of the shipped systems' components, written once, as each engine is sent it: one golden file a dialect.

`MLPLATFORM_UPDATE_GOLDEN=yes` writes them anew; read what they say before you commit them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlglot

from mlplatform.core.drift.profile import FeatureProfile, Field
from mlplatform.core.drift.profile_sql import deciles_sql, domain_sql, profile_sql, top_sql, unknown_sql, values_sql
from mlplatform.core.features.pull import Pull
from mlplatform.core.features.unload_sql import (
    Sample,
    Window,
    ahead_query,
    count_query,
    unload_queries,
    window_first_query,
    without_target_query,
)
from mlplatform.core.tables.sampling import FirstK, Random, Stratified, sample_sql
from mlplatform.platform import Platform, open_platform
from mlplatform.platform.translation import translated
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.profile import Connection
from mlplatform.spec.table import TableSpec
from mlplatform.stations.features import split_of

UPDATE = "MLPLATFORM_UPDATE_GOLDEN"
FOLDER = Path(__file__).with_name("statements")
DIALECTS = {"redshift": "redshift", "snowflake": "snowflake", "hive": "spark"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with closing(open_platform({"MLPLATFORM_HOME": str(tmp_path_factory.mktemp("home"))})) as found:
        yield found


def statements(platform: Platform, system: str) -> Iterator[tuple[str, str]]:
    """What it is for, and the statement in DuckDB's dialect."""
    spec = platform.system(system).spec
    (features,), (table,) = spec.all(FeatureSetSpec), spec.all(TableSpec)
    query, split = spec.query(features), split_of(features)
    window = features.window and Window(features.window.column, features.window.last, "2020-06-30", "date")
    sample = Sample(tuple(split.key), 0.25, 7) if split.key else None
    made = unload_queries(query, target=features.target, split=split, window=window, order=[], sample=sample)
    yield from ((f"rows to learn from: {channel}", sql) for channel, sql in made.items())
    yield "how many", count_query(made["train"])
    yield "without a target", without_target_query(query, target=features.target, window=window)
    if window is not None:
        yield "where the window begins", window_first_query(query, window)
        yield "rows of the future", ahead_query(query, window.column, "2020-07-01", "date")
    yield "a host's share", Pull(made["train"], tuple(split.key), tuple(split.key), 1, None, 0).statement(1, 4)
    columns = [column.name for column in table.columns]
    for drawn in (FirstK(100), Random(100, 7), Stratified(columns[1], 100, 7)):
        yield f"{drawn}", sample_sql(table.name, drawn, columns=columns, key=columns[:1])
    fields = [Field(f.name, "category" if f.transform == "category" else "numeric") for f in features.features]
    number = next(field for field in fields if field.kind == "numeric")
    yield "a baseline's domain", domain_sql(table.name, fields, histogram=False)
    yield "a baseline's deciles", deciles_sql(table.name, number)
    yield "a baseline's values", values_sql(table.name, number)
    bins = [FeatureProfile(number.name, "numeric", 0, 0, edges=(-1.0, 0.0, 2.5))]
    for text in (field for field in fields if field.kind == "category"):
        yield f"a baseline's categories: {text.name}", top_sql(table.name, text)
        bins.append(FeatureProfile(text.name, "category", 0, 0, categories={"it's": 3, "B": 1}))
        yield f"unknown: {text.name}", unknown_sql(table.name, bins[-1])
    yield "a profile", profile_sql(table.name, bins, histogram=False)


@pytest.mark.parametrize("adapter", DIALECTS)
def test_each_engine_gets_the_components_sql_as_the_golden_file_has_it(adapter: str, platform: Platform) -> None:
    connection = Connection(port="warehouse", adapter=adapter)
    lines = []
    for system in ("stock_prices", "california_housing"):
        for title, sql in statements(platform, system):
            said = translated(connection, sql, system=system)
            assert len(sqlglot.parse(said, read=DIALECTS[adapter])) == 1, title
            lines.append(f"-- {system}: {title}\n{said};\n")
    golden, found = FOLDER / f"{adapter}.sql", "\n".join(lines)
    if os.environ.get(UPDATE) == "yes":
        golden.write_text(found)
    assert found == golden.read_text()

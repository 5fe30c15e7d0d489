"""Profiles as DuckDB takes them: bins of the baseline, odd features, both forms of the SQL."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
import sqlglot

from mlplatform.core.drift.profile import FeatureProfile, Field, Profile
from mlplatform.core.drift.profile_sql import Query, profile_sql, take_baseline, take_profile
from mlplatform.errors import StateError

FIELDS = [Field("x", "numeric"), Field("few", "numeric"), Field("same", "numeric"), Field("kind", "category")]


@pytest.fixture
def query() -> Iterator[Query]:
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE base AS SELECT i::DOUBLE AS x, i % 3 AS few, 7.5::DOUBLE AS same, 'k' || (i % 4) AS kind "
            "FROM range(1, 1001) AS t(i)"
        )
        yield lambda sql: connection.execute(sql).to_arrow_table()


@pytest.fixture(params=[True, False], ids=["histogram", "case"])
def histogram(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_a_baseline_has_a_tenth_of_the_rows_in_each_bin(query: Query, histogram: bool) -> None:
    x = take_baseline(query, "base", FIELDS, histogram=histogram).feature("x")
    assert sum(x.counts) == 1000
    assert len(x.counts) == 10
    assert all(95 <= count <= 105 for count in x.counts)
    assert (x.mean, x.minimum, x.maximum, x.integral) == (500.5, 1.0, 1000.0, 1000)
    assert x.sd == pytest.approx(math.sqrt((1000**2 - 1) / 12))


def test_a_few_valued_feature_has_a_bin_for_each_value_and_for_what_is_none_of_them(
    query: Query, histogram: bool
) -> None:
    few = take_baseline(query, "base", FIELDS, histogram=histogram).feature("few")
    assert few.counts == (0, 333, 0, 334, 0, 333, 0)


def test_a_constant_feature_that_moves_is_seen(query: Query, histogram: bool) -> None:
    baseline = take_baseline(query, "base", FIELDS, histogram=histogram)
    moved = "(SELECT x, few, same + 1e-9 AS same, kind FROM base)"
    assert baseline.feature("same").counts == (0, 1000, 0)
    assert take_profile(query, moved, baseline, histogram=histogram).feature("same").counts == (0, 0, 1000)


def test_judged_rows_are_counted_on_the_baselines_bins(query: Query, histogram: bool) -> None:
    baseline = take_baseline(query, "base", FIELDS, histogram=histogram)
    judged = take_profile(query, "(SELECT x + 5000 AS x, few, same, kind FROM base)", baseline, histogram=histogram)
    assert judged.feature("x").edges == baseline.feature("x").edges
    assert judged.feature("x").counts == (0,) * 9 + (1000,)


def test_null_nan_and_infinite_values_are_missing(query: Query, histogram: bool) -> None:
    baseline = take_baseline(query, "base", [Field("x", "numeric")], histogram=histogram)
    odd = "(SELECT unnest([NULL, 'nan', 'inf', '-inf', '3'])::DOUBLE AS x)"
    x = take_profile(query, odd, baseline, histogram=histogram).feature("x")
    assert (x.rows, x.present, x.mean, sum(x.counts)) == (5, 1, 3.0, 1)
    assert x.completeness == 0.2


def test_a_category_the_baseline_never_had_counts_as_other(query: Query, histogram: bool) -> None:
    baseline = take_baseline(query, "base", [Field("kind", "category")], histogram=histogram)
    rows = "(SELECT unnest(['k1', 'k1', 'it''s \"new\"', NULL]) AS kind)"
    kind = take_profile(query, rows, baseline, histogram=histogram).feature("kind")
    assert kind.categories == {"k0": 0, "k1": 2, "k2": 0, "k3": 0}
    assert (kind.other, kind.present, kind.rows) == (1, 3, 4)


def test_no_rows_make_an_empty_profile(query: Query, histogram: bool) -> None:
    baseline = take_baseline(query, "base", FIELDS, histogram=histogram)
    empty = take_profile(query, "(SELECT * FROM base WHERE false)", baseline, histogram=histogram)
    assert empty.rows == 0
    assert [sum(f.histogram()) for f in empty.features] == [0, 0, 0, 0]
    assert empty.feature("x").mean is None


def test_a_baseline_of_no_rows_is_a_profile_too(query: Query, histogram: bool) -> None:
    empty = take_baseline(query, "(SELECT * FROM base WHERE false)", FIELDS, histogram=histogram)
    assert [f.present for f in empty.features] == [0, 0, 0, 0]


def test_names_that_need_quoting_are_quoted(query: Query, histogram: bool) -> None:
    odd = 'we "ird; name'
    relation = '(SELECT x AS "we ""ird; name" FROM base)'
    baseline = take_baseline(query, relation, [Field(odd, "numeric")], histogram=histogram)
    assert baseline.feature(odd).present == 1000


def test_both_forms_of_the_sql_agree(query: Query) -> None:
    baseline = take_baseline(query, "base", FIELDS)
    assert take_profile(query, "base", baseline, histogram=False) == take_profile(query, "base", baseline)


def test_many_features_are_split_over_several_statements() -> None:
    sent: list[str] = []
    with duckdb.connect() as connection:
        columns = ", ".join(f"i * {k}.5 AS c{k}" for k in range(1, 201))
        connection.execute(f"CREATE TABLE wide AS SELECT {columns} FROM range(50) AS t(i)")

        def query(sql: str) -> pa.Table:
            sent.append(sql)
            return connection.execute(sql).to_arrow_table()

        fields = [Field(f"c{k}", "numeric") for k in range(1, 201)]
        baseline = take_baseline(query, "wide", fields)
        sent.clear()
        assert take_profile(query, "wide", baseline, histogram=False) == baseline
    assert len(sent) == 3


@pytest.mark.parametrize("dialect", ["redshift", "postgres", "snowflake"])
def test_the_portable_form_is_sql_in_other_dialects(dialect: str) -> None:
    features = [
        FeatureProfile("x", "numeric", 0, 0, edges=(1.0, 2.5)),
        FeatureProfile("kind", "category", 0, 0, categories={"a": 1}),
    ]
    sql = sqlglot.transpile(profile_sql("t", features, histogram=False), read="duckdb", write=dialect)[0]
    names = sqlglot.parse_one(sql, read=dialect).named_selects
    assert [n for n in names if n.startswith(("f0_b", "f1_b"))] == ["f0_b0", "f0_b1", "f0_b2", "f1_b0"]


def test_a_profile_comes_back_from_json(query: Query) -> None:
    baseline = take_baseline(query, "base", FIELDS)
    assert Profile.from_json(json.loads(json.dumps(baseline.to_json()))) == baseline


def test_a_profile_of_another_format_is_refused() -> None:
    with pytest.raises(StateError, match="format 9; this release reads 1"):
        Profile.from_json({"format_version": 9})


def test_a_damaged_profile_is_refused() -> None:
    with pytest.raises(StateError, match="damaged"):
        Profile.from_json({"format_version": 1, "rows": 1, "features": [{"edges": [], "counts": []}]})


def test_of_a_personal_feature_no_single_value_is_told(query: Query, histogram: bool) -> None:
    fields = [Field("x", "numeric", personal=True), Field("few", "numeric", personal=True)]
    baseline = take_baseline(
        query, "(SELECT x * 1234.567 AS x, few + 0.12345 AS few FROM base)", fields, histogram=histogram
    )
    x, few = baseline.features
    assert (x.minimum, x.maximum) == (None, None)
    assert x.mean == pytest.approx(500.5 * 1234.567)
    assert x.edges == tuple(float(f"{edge:.1e}") for edge in x.edges)
    assert all(80 <= count <= 120 for count in x.counts)
    assert few.edges == (0.12, 1.1, 2.1)
    assert Profile.from_json(json.loads(json.dumps(baseline.to_json()))) == baseline
    judged = take_profile(query, "(SELECT x, few FROM base LIMIT 3)", baseline, histogram=histogram).feature("x")
    assert (judged.mean, judged.sd, judged.minimum, judged.personal) == (None, None, None, True)

"""Canonical SQL as Spark's: what each statement becomes, and how parameters are written in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.adapters.warehouse.hive_sql import canonical, condition, literal, value_sql
from mlplatform.errors import DataError
from mlplatform.platform.translation import translated
from mlplatform.spec.profile import Connection


def spark(sql: str, *parameters: Any) -> str:
    return canonical(sql, parameters, schema="s", relation=lambda name: "SELECT 1 AS a" if name == "t" else None)


@pytest.mark.parametrize(
    ("duckdb", "expected"),
    [
        ("SELECT A FROM T", "SELECT `a` FROM (SELECT 1 AS a) AS `t`"),
        ("SELECT a FROM theirs", "SELECT `a` FROM `s`.`theirs` AS `theirs`"),
        (
            "WITH t AS (SELECT * FROM t) SELECT x.a FROM t x",
            "WITH `t` AS (SELECT * FROM (SELECT 1 AS a) AS `t`) SELECT `x`.`a` FROM `t` AS `x`",
        ),
        (
            "SELECT sum(a) FILTER (WHERE b) AS x FROM t",
            "SELECT SUM(CASE WHEN `b` THEN `a` END) AS `x` FROM (SELECT 1 AS a) AS `t`",
        ),
        (
            "SELECT CAST(a AS varchar(3)) AS c, a::timestamp AS d FROM t",
            "SELECT CAST(`a` AS STRING) AS `c`, CAST(`a` AS TIMESTAMP_NTZ) AS `d` FROM (SELECT 1 AS a) AS `t`",
        ),
        ("SELECT j->>'a' AS a FROM t", "SELECT GET_JSON_OBJECT(`j`, '$.a') AS `a` FROM (SELECT 1 AS a) AS `t`"),
        ("SELECT r.i FROM range(3) AS r(i)", "SELECT `r`.`i` FROM RANGE(0, 3) AS `r`(`i`)"),
        ("SELECT count(*) AS n FROM generate_series(1, 3) AS r(i)", "SELECT COUNT(*) AS `n` FROM RANGE(1, 3 + 1) AS `r`(`i`)"),
        (
            "SELECT a FROM t ORDER BY a LIMIT 3",
            "SELECT `a` FROM (SELECT 1 AS a) AS `t` ORDER BY `a` NULLS LAST LIMIT 3",
        ),
        (
            "SELECT 1 AS one FROM t WHERE a IS NOT DISTINCT FROM b",
            "SELECT 1 AS `one` FROM (SELECT 1 AS a) AS `t` WHERE `a` IS NOT DISTINCT FROM `b`",
        ),
    ],
)  # fmt: skip
def test_canonical_sql_becomes_sparks(duckdb: str, expected: str) -> None:
    assert spark(duckdb) == expected


def test_parameters_stand_in_the_order_of_the_text_wherever_they_are() -> None:
    found = spark(
        "WITH x AS (SELECT ? AS a) SELECT ?, '?' AS \"?\" FROM x WHERE a IN (?, ?) LIMIT 3", "1", "2", "3", "4"
    )
    assert [found.index(f"'{number}'") for number in range(1, 5)] == sorted(found.index(f"'{n}'") for n in range(1, 5))
    assert "'?' AS `?`" in found


@pytest.mark.parametrize("parameters", [(), (1, 2)])
def test_each_place_needs_its_parameter(parameters: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=f"has 1 places for parameters, found {len(parameters)}"):
        spark("SELECT ? AS a", *parameters)


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (None, "NULL"),
        (True, "TRUE"),
        (-(2**63), "CAST('-9223372036854775808' AS BIGINT)"),
        (0.1, "CAST('0.1' AS DOUBLE)"),
        (float("nan"), "DOUBLE('nan')"),
        (Decimal("1.50"), "CAST('1.50' AS DECIMAL(3,2))"),
        (Decimal("0.005"), "CAST('0.005' AS DECIMAL(3,3))"),
        (date(2020, 1, 2), "CAST('2020-01-02' AS DATE)"),
        (datetime(2020, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))), "CAST('2020-01-01 10:00:00' AS TIMESTAMP_NTZ)"),
        (datetime(2020, 1, 1, microsecond=5, tzinfo=UTC), "CAST('2020-01-01 00:00:00.000005' AS TIMESTAMP_NTZ)"),
        (b"\x00\xff", "X'00ff'"),
        ("it's \\", "'it\\'s \\\\'"),
    ],
)
def test_a_value_is_a_literal_of_its_type(value: Any, sql: str) -> None:
    assert value_sql(value) == sql


@pytest.mark.parametrize("value", [2**63, [1], object()])
def test_a_value_without_a_literal_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="parameter"):
        value_sql(value)


@given(st.text())
def test_a_text_is_one_literal_that_reads_back(text: str) -> None:
    tree = sqlglot.parse_one(f"SELECT {literal(text)}", read="spark")
    (found,) = tree.expressions
    assert found.is_string


def test_a_condition_is_quoted_and_bound() -> None:
    found = condition('CAST("a""b" AS VARCHAR) = ? AND "x" < ?', [" WHERE x", 1])
    assert found == "CAST(`a\"b` AS STRING) = ' WHERE x' AND `x` < CAST('1' AS BIGINT)"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "found 0"),
        ("SELECT 1; SELECT 2", "found 2"),
        ("DELETE FROM t", "DELETE"),
        ("INSERT INTO t VALUES (1)", "INSERT"),
        ("SELECT FROM WHERE", "no SQL"),
        ("SELECT 'a", "no SQL"),
    ],
)
def test_what_is_not_one_statement_that_reads_is_refused(sql: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        spark(sql)


def test_a_feature_query_is_said_without_the_server() -> None:
    connection = Connection(port="warehouse", adapter="hive", settings={"host": "h"})
    assert translated(connection, "SELECT a FROM t", system="shop") == "SELECT `a` FROM `shop`.`t` AS `t`"

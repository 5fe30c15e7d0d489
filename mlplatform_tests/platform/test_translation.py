"""A feature query in the dialect of the connection's warehouse, without that warehouse at hand."""

from __future__ import annotations

import pytest

from mlplatform.errors import DataError
from mlplatform.platform.translation import translated
from mlplatform.spec.profile import Connection

SQL = "SELECT ticker, count(*) FILTER (WHERE price > 1) AS n FROM prices GROUP BY ALL"


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        ("ducklake", SQL),
        (
            "redshift",
            'SELECT "ticker", COUNT(CASE WHEN "price" > 1 THEN 1 END) AS "n" FROM "p_s"."prices" AS "prices" GROUP BY ALL',
        ),
        (
            "snowflake",
            'SELECT "TICKER", COUNT(CASE WHEN "PRICE" > 1 THEN 1 END) AS "N" FROM "P_S"."PRICES" AS "PRICES" GROUP BY ALL',
        ),
    ],
)
def test_a_query_is_said_in_the_warehouses_dialect(adapter: str, expected: str) -> None:
    connection = Connection(port="warehouse", adapter=adapter, settings={"schema_prefix": "p_"})
    assert translated(connection, SQL, system="s") == expected


@pytest.mark.parametrize("adapter", ["redshift", "snowflake"])
def test_a_statement_that_writes_is_refused(adapter: str) -> None:
    with pytest.raises(DataError, match="A query only reads"):
        translated(Connection(port="warehouse", adapter=adapter), "DELETE FROM prices", system="s")

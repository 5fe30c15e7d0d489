"""The SQL that Snowflake is sent, word for word, so that a change of it is seen; and that it is Snowflake's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.snowflake import SnowflakeWarehouse
from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings
from mlplatform.adapters.warehouse.snowflake_sql import DIALECT, put_sql, select_sql
from mlplatform.adapters.warehouse.sql_select import tables_of
from mlplatform.core.loads.erasure import Condition, Erasure
from mlplatform.core.loads.plan import CsvFormat, LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform_tests.servers.snowflake.server import Snowflake

GOLDEN = Path(__file__).with_name("statements.sql")
PRICES = TableSchema(
    "prices",
    (
        Column("ticker", nullable=False),
        Column("day", "date", nullable=False),
        Column("price", "double"),
        Column("extra", "json"),
    ),
    unique_key=("ticker", "day"),
    event_time="day",
)
NOW = datetime(2020, 6, 30, 12, tzinfo=UTC)


def sent(server: Snowflake, folder: Path) -> Iterator[str]:
    """Statements of a table's life: made, loaded with duplicates and bad records, widened, queried, unloaded."""
    store = DirectoryObjectStore(folder)
    before = len(server.statements())
    warehouse = SnowflakeWarehouse(
        SnowflakeSettings.model_validate(server.settings),
        EnvironmentSecrets(server.secrets),
        system="golden",
        now=lambda: NOW,
    )
    warehouse.create(PRICES)
    info = store.put("in/a.csv", b"ticker,day,price,extra\nA,2020-01-01,1,{}\nB,2020-01-01,x,\n")
    guard = warehouse.guard("prices", "objects/in/", claim=True)
    plan = LoadPlan(
        "prices", "objects/in/", guard.last, "1", guard.epoch, "in/a.csv", info.etag, info.size_bytes, CsvFormat(),
        supersedes=("it's",), same_content="refuse",
    )  # fmt: skip
    warehouse.load(plan, PRICES, store)
    wider = TableSchema("prices", (*PRICES.columns[:2], Column("price"), PRICES.columns[3], Column("n", "bigint")))
    warehouse.create(wider)
    warehouse.query(
        "SELECT count(*) FILTER (WHERE price IS NOT NULL) AS n FROM prices WHERE day > ?", [NOW], timeout_s=9
    )
    warehouse.unload({"u/": "SELECT * FROM prices WHERE ticker <> 'it''s' ORDER BY day LIMIT 3"}, store)
    conditions = (Condition("ticker", "equal", "a"), Condition("_loaded_at", "before", NOW))
    warehouse.erase(Erasure("e1", "prices", conditions, "asked for", NOW, records=("r1",)))
    warehouse.close()
    for statement in server.statements()[before:]:
        # The driver asks for a file's place once more, by the file's name.
        if not statement["sql"].startswith("PUT 'file://rows") and not statement["sql"].startswith("PUT 'file://quar"):
            sql = re.sub(r"//[^']*/warehouse-load-[^/']*", "//SCRATCH", statement["sql"])
            yield re.sub(r"/[0-9a-f]{16}\b", "/FOLDER", sql)


def test_the_statements_are_those_of_the_golden_file(snowflake_server: Snowflake, tmp_path: Path) -> None:
    """Write it anew, and read the difference: delete the file and run this test."""
    text = ";\n".join(sent(snowflake_server, tmp_path)) + ";\n"
    if not GOLDEN.exists():
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8")


def test_every_statement_is_snowflakes() -> None:
    for statement in GOLDEN.read_text("utf-8").removesuffix(";\n").split(";\n"):
        tree = sqlglot.parse_one(statement, read="snowflake")
        assert not isinstance(tree, exp.Command), statement
        assert tree.find(exp.OnConflict, exp.Returning, exp.Filter, exp.PrimaryKey, exp.UniqueColumnConstraint) is None
        # What Snowflake keeps in upper case is not found by another.
        names = [i.name for i in tree.find_all(exp.Identifier) if i.args.get("quoted")]
        assert names == [name.upper() for name in names]


@pytest.mark.parametrize(
    ("duckdb", "snowflake"),
    [
        ("SELECT Price FROM Prices", 'SELECT "PRICE" FROM "S"."PRICES" AS "PRICES"'),
        (
            "WITH prices AS (SELECT * FROM prices) SELECT p.a FROM prices p",
            'WITH "PRICES" AS (SELECT * FROM "S"."PRICES" AS "PRICES") SELECT "P"."A" FROM "PRICES" AS "P"',
        ),
        (
            "SELECT sum(a) FILTER (WHERE b > ?) AS x, count(*) FILTER (WHERE c) AS y FROM t",
            'SELECT SUM(CASE WHEN "B" > ? THEN "A" END) AS "X", COUNT(CASE WHEN "C" THEN 1 END) AS "Y" FROM "S"."T" AS "T"',
        ),
        (
            "SELECT 1 AS one FROM t WHERE a IS NOT DISTINCT FROM ? AND b IS DISTINCT FROM c",
            'SELECT 1 AS "ONE" FROM "S"."T" AS "T" WHERE "A" IS NOT DISTINCT FROM ? AND "B" IS DISTINCT FROM "C"',
        ),
        ("SELECT avg(n) AS a FROM t", 'SELECT AVG(CAST("N" AS DOUBLE)) AS "A" FROM "S"."T" AS "T"'),
        ("SELECT a / b AS q FROM t", 'SELECT CAST("A" AS DOUBLE) / "B" AS "Q" FROM "S"."T" AS "T"'),
        (
            "SELECT string_agg(a, ',' ORDER BY b DESC) AS s FROM t",
            'SELECT LISTAGG("A", \',\') WITHIN GROUP (ORDER BY "B" DESC NULLS LAST) AS "S" FROM "S"."T" AS "T"',
        ),
        (
            "SELECT quantile_cont(a, 0.5) AS m FROM t",
            'SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY "A") AS "M" FROM "S"."T" AS "T"',
        ),
        ("SELECT j->>'a' AS a FROM t", """SELECT JSON_EXTRACT_PATH_TEXT("J", 'a') AS "A" FROM "S"."T" AS "T\""""),
        (
            "SELECT '?\\n' AS q, a LIKE '%' AS l FROM t",
            """SELECT '?\\\\n' AS "Q", "A" LIKE '%' AS "L" FROM "S"."T" AS "T\"""",
        ),
        (
            "SELECT ticker, day FROM prices QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY day) = 1",
            'SELECT "TICKER", "DAY" FROM "S"."PRICES" AS "PRICES" '
            'QUALIFY ROW_NUMBER() OVER (PARTITION BY "TICKER" ORDER BY "DAY") = 1',
        ),
    ],
)
def test_canonical_sql_becomes_snowflakes(duckdb: str, snowflake: str) -> None:
    assert select_sql(duckdb, "s") == snowflake


def test_what_with_names_is_no_table_of_the_warehouse() -> None:
    sql = select_sql("WITH a AS (SELECT * FROM t), t2 AS (SELECT 1 AS x) SELECT * FROM a, t2, u", "s")
    assert tables_of(sql, DIALECT) == {"T", "U"}


def test_a_path_with_a_quote_is_only_text() -> None:
    assert put_sql(Path("/tmp/it's/a b.parquet"), '"S"."_STAGING"/x').startswith(
        "PUT 'file:///tmp/it''s/a b.parquet' @"
    )

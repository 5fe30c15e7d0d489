"""The SQL that Redshift is sent, word for word, so that a change of it is seen; and that it is Redshift's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.redshift import RedshiftWarehouse
from mlplatform.adapters.warehouse.redshift_settings import RedshiftSettings
from mlplatform.adapters.warehouse.redshift_sql import select_sql, unload_sql
from mlplatform.core.loads.erasure import Condition, Erasure
from mlplatform.core.loads.plan import CsvFormat, LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform_tests.conformance.object_stores import s3_store
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.redshift.bulk import unescaped
from mlplatform_tests.servers.redshift.server import Redshift

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


def sent(server: Redshift, ministack: Ministack) -> Iterator[str]:
    """Statements of a table's life: made, loaded with duplicates and bad records, widened, queried, unloaded."""
    store = s3_store(ministack)
    before = len(server.proxy.statements)
    settings = RedshiftSettings.model_validate({**server.settings, "iam_role": "arn:aws:iam::123456789012:role/loader"})
    secrets = EnvironmentSecrets(server.secrets)
    warehouse = RedshiftWarehouse(settings, secrets, system="golden", now=lambda: NOW)
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
    warehouse.unload({"c/": "SELECT ticker FROM prices"}, store, format="csv")
    conditions = (Condition("ticker", "equal", "a"), Condition("_loaded_at", "before", NOW))
    warehouse.erase(Erasure("e1", "prices", conditions, "asked for", NOW, records=("r1",)))
    warehouse.close()
    store.close()
    for statement in server.proxy.statements[before:]:
        yield re.sub(r"test-[0-9a-f]{32}", "BUCKET", re.sub(r"[0-9a-f]{32}-[0-9a-f]{8}", "BATCH", statement))


def test_the_statements_are_those_of_the_golden_file(redshift_server: Redshift, ministack_server: Ministack) -> None:
    """Write it anew, and read the difference: delete the file and run this test."""
    text = ";\n".join(sent(redshift_server, ministack_server)) + ";\n"
    if not GOLDEN.exists():
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8")


def test_every_statement_is_redshifts() -> None:
    statements = GOLDEN.read_text("utf-8").removesuffix(";\n").split(";\n")
    commands = []
    for statement in statements:
        tree = sqlglot.parse_one(statement, read="redshift")
        assert tree.find(exp.OnConflict, exp.Returning, exp.Filter, exp.PrimaryKey, exp.UniqueColumnConstraint) is None
        if isinstance(tree, exp.Command):
            commands.append(statement.split()[0])
        else:
            assert sqlglot.parse_one(tree.sql("redshift"), read="redshift") == tree
    # What sqlglot keeps as text: nothing else may hide there.
    assert set(commands) == {"LOCK", "UNLOAD"}
    for statement in statements:
        if (unload := re.match(r"UNLOAD \('((?:[^'\\]|''|\\.)*)'\)", statement)) is not None:
            assert isinstance(sqlglot.parse_one(unescaped(unload[1]), read="redshift"), exp.Query)


@pytest.mark.parametrize(
    ("duckdb", "redshift"),
    [
        ("SELECT Price FROM Prices", 'SELECT "price" FROM "s"."prices" AS "prices"'),
        (
            "WITH prices AS (SELECT * FROM prices) SELECT p.a FROM prices p",
            'WITH "prices" AS (SELECT * FROM "s"."prices" AS "prices") SELECT "p"."a" FROM "prices" AS "p"',
        ),
        (
            "SELECT sum(a) FILTER (WHERE b > ?) AS x, count(*) FILTER (WHERE c) AS y FROM t",
            'SELECT SUM(CASE WHEN "b" > ? THEN "a" END) AS "x", COUNT(CASE WHEN "c" THEN 1 END) AS "y" FROM "s"."t" AS "t"',
        ),
        (
            "SELECT count(DISTINCT a) FILTER (WHERE b) AS x FROM t",
            'SELECT COUNT(DISTINCT CASE WHEN "b" THEN "a" END) AS "x" FROM "s"."t" AS "t"',
        ),
        (
            "SELECT 1 AS one FROM t WHERE a IS NOT DISTINCT FROM ? AND b IS DISTINCT FROM c",
            'SELECT 1 AS "one" FROM "s"."t" AS "t" WHERE DECODE("a", ?, 1, 0) = 1 AND DECODE("b", "c", 0, 1) = 1',
        ),
        ("SELECT avg(n) AS a FROM t", 'SELECT AVG(CAST("n" AS DOUBLE PRECISION)) AS "a" FROM "s"."t" AS "t"'),
        ("SELECT a / b AS q FROM t", 'SELECT CAST("a" AS DOUBLE PRECISION) / "b" AS "q" FROM "s"."t" AS "t"'),
        (
            "SELECT string_agg(a, ',' ORDER BY b DESC) AS s FROM t",
            'SELECT LISTAGG("a", \',\') WITHIN GROUP (ORDER BY "b" DESC NULLS LAST) AS "s" FROM "s"."t" AS "t"',
        ),
        ("SELECT j->>'a' AS a FROM t", """SELECT JSON_EXTRACT_PATH_TEXT("j", 'a') AS "a" FROM "s"."t" AS "t\""""),
        ("SELECT '?' AS q, a LIKE '%' AS l FROM t", """SELECT '?' AS "q", "a" LIKE '%' AS "l" FROM "s"."t" AS "t\""""),
    ],
)
def test_canonical_sql_becomes_redshifts(duckdb: str, redshift: str) -> None:
    assert select_sql(duckdb, "s") == redshift


def test_unload_wraps_a_limit_and_keeps_its_order() -> None:
    sql = unload_sql('SELECT "a", "b" FROM "t" ORDER BY "t"."a" DESC LIMIT 3', "s3://b/p", "default", csv=False)
    assert sql == (
        'UNLOAD (\'SELECT * FROM (SELECT "a", "b" FROM "t" ORDER BY "t"."a" DESC LIMIT 3) AS limited '
        "ORDER BY \"a\" DESC') TO 's3://b/p' IAM_ROLE DEFAULT FORMAT AS PARQUET MANIFEST VERBOSE PARALLEL OFF"
    )

"""The stand-in for Redshift: what passes, what is translated, and what it refuses as Redshift would."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redshift_connector
from redshift_connector.error import Error

from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.redshift.postgres import PASSWORD
from mlplatform_tests.servers.redshift.server import Redshift
from mlplatform_tests.servers.redshift.translation import translate

BUCKET = "proxy"


@contextlib.contextmanager
def connected(server: Redshift) -> Iterator[Any]:
    """A cursor of a session of its own."""
    settings = {**server.settings, "password": PASSWORD}
    connection = redshift_connector.connect(**settings)
    connection.autocommit = True
    yield connection.cursor()
    connection.close()


@pytest.fixture
def cursor(redshift_server: Redshift) -> Iterator[Any]:
    with connected(redshift_server) as found:
        yield found


@pytest.fixture(scope="module")
def s3(ministack_server: Ministack) -> Iterator[Any]:
    import boto3

    client = boto3.client("s3", **ministack_server.client_options)
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


def state(error: pytest.ExceptionInfo[Error]) -> str:
    """SQLSTATE of the server's answer."""
    return str(error.value.args[0]["C"])


def test_types_of_redshift_reach_the_driver_as_its_own(cursor: Any) -> None:
    cursor.execute("CREATE TEMP TABLE kinds (a VARBYTE(20), b SUPER, c VARCHAR(MAX) ENCODE ZSTD) DISTSTYLE ALL")
    cursor.execute(
        "INSERT INTO kinds VALUES (CAST('hi' AS VARBYTE), JSON_PARSE('[1,  2]'), 'text'), (NULL, NULL, NULL)"
    )
    cursor.execute("SELECT a, b, c FROM kinds ORDER BY c")
    assert [column[1] for column in cursor.description] == [6551, 4000, 25]
    assert [tuple(row) for row in cursor.fetchall()] == [("hi", "[1,  2]", "text"), (None, None, None)]


def test_a_transaction_reads_one_snapshot(cursor: Any, redshift_server: Redshift) -> None:
    cursor.execute("CREATE TABLE public.counted (n BIGINT)")
    cursor.execute("BEGIN")
    cursor.execute("SELECT COUNT(*) FROM public.counted")
    with connected(redshift_server) as other:
        other.execute("INSERT INTO public.counted VALUES (1)")
    cursor.execute("SELECT COUNT(*) FROM public.counted")
    assert cursor.fetchall() == ([0],)
    cursor.execute("COMMIT")
    cursor.execute("SELECT COUNT(*) FROM public.counted")
    assert cursor.fetchall() == ([1],)


def test_keys_are_noted_and_not_enforced(cursor: Any) -> None:
    cursor.execute("CREATE TEMP TABLE noted (id BIGINT PRIMARY KEY, name VARCHAR(9) UNIQUE, UNIQUE (id))")
    cursor.execute("INSERT INTO noted VALUES (1, 'a'), (1, 'a')")
    cursor.execute("SELECT COUNT(*) FROM noted")
    assert cursor.fetchall() == ([2],)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "ON CONFLICT"),
        ("INSERT INTO t VALUES (1) RETURNING id", "RETURNING"),
        ("SELECT COUNT(*) FILTER (WHERE a) FROM t", "FILTER"),
        ("SELECT a IS NOT DISTINCT FROM b FROM t", "IS NOT DISTINCT FROM"),
        ("SELECT * FROM t FOR UPDATE", "FOR UPDATE"),
        ("SELECT AVG(n) FROM t", "AVG without a CAST"),
        ("CREATE UNIQUE INDEX i ON t (a)", "indexes"),
    ],
)
def test_what_only_postgresql_has_is_refused(cursor: Any, sql: str, why: str) -> None:
    with pytest.raises(Error, match=why):
        cursor.execute(sql)


@pytest.mark.parametrize(
    ("redshift", "postgres"),
    [
        ("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"),
        ('LOCK "s"."g"', 'LOCK "s"."g"'),
        ("SELECT a, COUNT(*) FROM t GROUP BY ALL", "SELECT a, COUNT(*) FROM t GROUP BY 1"),
        (
            "SELECT DECODE(a, $1, 1, 0) FROM t",
            "SELECT CASE WHEN a = $1 OR (a IS NULL AND $1 IS NULL) THEN 1 ELSE 0 END FROM t",
        ),
        ("CREATE TABLE t (a VARBYTE(9), b SUPER)", "CREATE TABLE t (a BYTEA, b JSON)"),
        ("SELECT GETDATE()", "SELECT CURRENT_TIMESTAMP"),
    ],
)
def test_the_difference_is_translated(redshift: str, postgres: str) -> None:
    assert translate(redshift) == postgres


def test_copy_reads_every_object_below_the_prefix(cursor: Any, s3: Any) -> None:
    table = pa.table({"n": [1, None], "text": ["a\tb\\\n", ""], "raw": pa.array([b"\xff\0", None], pa.binary())})
    for name in ("copied/1", "copied/2"):
        sink = io.BytesIO()
        pq.write_table(table, sink)
        s3.put_object(Bucket=BUCKET, Key=name, Body=sink.getvalue())
    cursor.execute("CREATE TEMP TABLE copied (n BIGINT, text VARCHAR(99), raw VARBYTE(99))")
    cursor.execute(f"COPY copied FROM 's3://{BUCKET}/copied/' IAM_ROLE DEFAULT FORMAT AS PARQUET")
    cursor.execute("SELECT n, text, OCTET_LENGTH(raw) FROM copied ORDER BY n")
    assert [tuple(row) for row in cursor.fetchall()] == 2 * [(1, "a\tb\\\n", 2)] + 2 * [(None, "", None)]


def test_copy_rolls_back_with_its_transaction(cursor: Any, s3: Any) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"n": [1]}), sink)
    s3.put_object(Bucket=BUCKET, Key="rolled/1", Body=sink.getvalue())
    cursor.execute("CREATE TEMP TABLE rolled (n BIGINT)")
    cursor.execute("BEGIN")
    cursor.execute(f"COPY rolled FROM 's3://{BUCKET}/rolled/1' IAM_ROLE DEFAULT FORMAT AS PARQUET")
    cursor.execute("ROLLBACK")
    cursor.execute("SELECT COUNT(*) FROM rolled")
    assert cursor.fetchall() == ([0],)


@pytest.mark.parametrize(
    ("tail", "sqlstate"),
    [
        ("IAM_ROLE DEFAULT FORMAT AS PARQUET", "XX000"),
        ("FORMAT AS PARQUET", "42601"),
        ("IAM_ROLE DEFAULT CSV", "42601"),
    ],
)
def test_copy_of_nothing_or_without_a_role_fails(cursor: Any, s3: Any, tail: str, sqlstate: str) -> None:
    with pytest.raises(Error) as error:
        cursor.execute(f"COPY public.none FROM 's3://{BUCKET}/none/' {tail}")
    assert state(error) == sqlstate


def test_unload_writes_parts_and_a_manifest_and_overwrites_nothing(cursor: Any, s3: Any) -> None:
    sql = (
        f"UNLOAD ('SELECT 1 AS n, ''it''''s'' AS text UNION ALL SELECT 2, NULL') TO 's3://{BUCKET}/unloaded/p-' "
        "IAM_ROLE DEFAULT FORMAT AS PARQUET MANIFEST VERBOSE"
    )
    cursor.execute(sql)
    manifest = json.loads(s3.get_object(Bucket=BUCKET, Key="unloaded/p-manifest")["Body"].read())
    assert [(e["url"].rsplit("/", 1)[1], e["meta"]["record_count"]) for e in manifest["entries"]] == [
        ("p-0000_part_00.parquet", 1),
        ("p-0001_part_00.parquet", 1),
    ]
    body = s3.get_object(Bucket=BUCKET, Key="unloaded/p-0000_part_00.parquet")["Body"].read()
    assert pq.read_table(io.BytesIO(body)).to_pylist() == [{"n": 1, "text": "it's"}]
    with pytest.raises(Error, match="not empty"):
        cursor.execute(sql)
    with pytest.raises(Error, match="LIMIT"):
        cursor.execute(sql.replace("2, NULL", "2, NULL LIMIT 1").replace("unloaded", "limited"))

"""What is the Data API's own: statements with names, sessions that end, results in pages, statements that are stopped."""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from mlplatform.adapters.warehouse.redshift import RedshiftWarehouse
from mlplatform.adapters.warehouse.redshift_data_errors import StatementFailedError
from mlplatform.adapters.warehouse.redshift_data_results import Page
from mlplatform.adapters.warehouse.redshift_data_sql import named
from mlplatform.adapters.warehouse.redshift_errors import fields
from mlplatform.adapters.warehouse.redshift_settings import redshift_settings
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import DataError, PlatformError, ProfileError, TimedOutError, UnavailableError
from mlplatform_tests.conformance.interruption import stopped
from mlplatform_tests.servers.redshift.aws.data_api import APPLICATION
from mlplatform_tests.servers.redshift.ways import RedshiftOnAws

NOTES = TableSchema("notes", (Column("id", "bigint"), Column("text")))


@pytest.fixture
def warehouse(on_aws: RedshiftOnAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedshiftWarehouse]:
    for name, value in on_aws.env.items():
        monkeypatch.setenv(name, value)
    found = on_aws.warehouse("data-api")
    found.create(NOTES)
    yield found
    on_aws.aws.mend()
    found.close()


def working(on_aws: RedshiftOnAws) -> int:
    """How many statements the server works on."""
    asked = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{APPLICATION}' AND state = 'active'"
    return int(on_aws.redshift.server.psql(asked)[0][0])


def until_idle(on_aws: RedshiftOnAws) -> None:
    deadline = time.monotonic() + 60
    while working(on_aws):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def slow(on_aws: RedshiftOnAws, warehouse: RedshiftWarehouse) -> str:
    """A query that takes hours."""
    on_aws.redshift.server.psql(
        f"CREATE VIEW {warehouse.system}.hours AS SELECT g AS n FROM generate_series(1, 1000000000000) g",
        f"GRANT SELECT ON {warehouse.system}.hours TO PUBLIC",
    )
    return "SELECT count(*) AS n FROM hours WHERE n % 7 = 3"


@pytest.mark.parametrize(
    ("value", "place", "text"),
    [
        ("it's", ":p1", "it's"),
        ("NULL", ":p1", "NULL"),
        (7, "CAST(:p1 AS BIGINT)", "7"),
        (2**64, "CAST(:p1 AS DECIMAL(38, 0))", str(2**64)),
        (True, "CAST(:p1 AS BOOLEAN)", "true"),
        (0.1, "CAST(:p1 AS DOUBLE PRECISION)", "0.1"),
        (Decimal("1.50"), "CAST(:p1 AS DECIMAL(38, 2))", "1.50"),
        (date(2020, 1, 2), "CAST(:p1 AS DATE)", "2020-01-02"),
        (datetime(2020, 1, 2, 3, 4, 5, 6), "CAST(:p1 AS TIMESTAMP)", "2020-01-02 03:04:05.000006"),  # noqa: DTZ001
    ],
)
def test_a_value_is_a_text_by_name_and_of_its_type(value: Any, place: str, text: str) -> None:
    assert named("SELECT ?", [value]) == (f"SELECT {place}", [{"name": "p1", "value": text}])


def test_null_and_the_empty_text_stand_in_the_statement() -> None:
    assert named("SELECT ?, ?, ?", [None, "", "x"]) == ("SELECT NULL, '', :p3", [{"name": "p3", "value": "x"}])


@pytest.mark.parametrize("quoted", ["'?'", "'it''s ?'", "'\\'?'", '"?"', '"a""?"', "/* ? */", "-- ?\n"])
def test_a_question_mark_in_a_text_a_name_or_a_comment_is_no_place(quoted: str) -> None:
    assert named(f"SELECT {quoted}, ?", ["x"])[0] == f"SELECT {quoted}, :p1"


@pytest.mark.parametrize(
    ("sql", "parameters", "told"),
    [
        ("SELECT ?", [], "more than 0 places"),
        ("SELECT 1", [1], "1 places too few for 1 parameters"),
        ("SELECT ?", [b"x"], "a value of type bytes"),
        (f"SELECT '{'x' * 102_400}'", [], "at most 102400 bytes, found 102409"),
    ],
)
def test_what_the_api_cannot_be_given_is_refused_before_it_is_asked(sql: str, parameters: list[Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        named(sql, parameters)


@pytest.mark.parametrize(
    ("text", "state", "message"),
    [
        ('ERROR: relation "s.nope" does not exist\n  Position: 15', "42P01", 'relation "s.nope" does not exist'),
        ('ERROR: column "x" does not exist', "42703", 'column "x" does not exist'),
        ("ERROR: permission denied for relation t", "42501", "permission denied for relation t"),
        ("ERROR: 1023 DETAIL: Serializable isolation violation on table", "40001", "1023 DETAIL: Serializable isolation violation on table"),
        ("ERROR: Query (12) cancelled on user's request", "57014", "Query (12) cancelled on user's request"),
        ('ERROR: Relation "t" already exists', "42P07", 'Relation "t" already exists'),
        ("ERROR: S3ServiceException:Access Denied,Status 403", "XX000", "S3ServiceException:Access Denied,Status 403"),
        ("ERROR: invalid digit, Value 'q', Pos 0", "22000", "invalid digit, Value 'q', Pos 0"),
    ],
)  # fmt: skip
def test_an_errors_text_says_of_what_kind_it_is(text: str, state: str, message: str) -> None:
    assert fields(StatementFailedError(text)) == {"C": state, "M": message}


def test_records_are_read_by_the_types_that_their_columns_name() -> None:
    kinds = {
        "int8": ({"longValue": 2**63 - 1}, 2**63 - 1, "int64"),
        "float8": ({"doubleValue": 0.5}, 0.5, "double"),
        "bool": ({"booleanValue": False}, False, "bool"),
        "numeric": ({"stringValue": "1.50"}, Decimal("1.50"), "decimal128(5, 2)"),
        "date": ({"stringValue": "2020-01-02"}, date(2020, 1, 2), "date32[day]"),
        "timestamp": ({"stringValue": "2020-01-02 03:04:05.5"}, datetime(2020, 1, 2, 3, 4, 5, 500_000), "timestamp[us]"),  # noqa: DTZ001
        "timestamptz": ({"stringValue": "2020-01-02 03:04:05+00"}, datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), "timestamp[us, tz=UTC]"),
        "varbyte": ({"stringValue": "00ff"}, b"\x00\xff", "binary"),
        "varchar": ({"stringValue": ""}, "", "string"),
        "super": ({"stringValue": "[1]"}, "[1]", "string"),
    }  # fmt: skip
    columns = [{"label": name, "typeName": name, "precision": 5, "scale": 2} for name in kinds]
    nulls = [{"isNull": True} for _ in kinds]
    page = Page(columns, [[field for field, _, _ in kinds.values()], nulls])
    assert page.rows() == [tuple(value for _, value, _ in kinds.values()), (None,) * len(kinds)]
    assert {f.name: str(f.type) for f in page.table().schema} == {name: kind for name, (_, _, kind) in kinds.items()}


def test_a_result_of_several_pages_is_whole_at_once_and_in_parts(
    on_aws: RedshiftOnAws, warehouse: RedshiftWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_aws.data_api, "page_rows", 3)
    sql = "SELECT column_name FROM columns_of_all ORDER BY column_name"
    on_aws.redshift.server.psql(
        f"CREATE VIEW {warehouse.system}.columns_of_all AS SELECT 'c' || g AS column_name FROM generate_series(1, 7) g",
        f"GRANT SELECT ON {warehouse.system}.columns_of_all TO PUBLIC",
    )
    assert warehouse.query(sql).column(0).to_pylist() == [f"c{n}" for n in range(1, 8)]
    assert [b.num_rows for b in warehouse.batches(sql)] == [3, 3, 1]
    assert [b.num_rows for b in warehouse.batches(f"{sql} LIMIT 0")] == [0]


def test_a_session_that_was_idle_for_too_long_is_opened_again(
    on_aws: RedshiftOnAws, warehouse: RedshiftWarehouse
) -> None:
    for _ in range(2):
        on_aws.data_api.end_sessions()
        assert warehouse.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]
        on_aws.data_api.end_sessions()
        warehouse.create(TableSchema("more", (Column("id", "bigint"),)))


def test_a_transaction_whose_session_is_gone_is_given_up(on_aws: RedshiftOnAws, warehouse: RedshiftWarehouse) -> None:
    session = warehouse._session

    def half() -> None:
        with session.transaction():
            session.execute(f"CREATE TABLE {warehouse.system}.half (n BIGINT)")
            on_aws.data_api.end_sessions()
            session.execute(f"INSERT INTO {warehouse.system}.half VALUES (1)")

    with pytest.raises(UnavailableError, match="Its transaction is gone"):
        half()
    assert "half" not in warehouse.tables()


def test_a_query_is_stopped_in_the_cluster_when_its_time_is_up(
    on_aws: RedshiftOnAws, warehouse: RedshiftWarehouse
) -> None:
    query = slow(on_aws, warehouse)
    with pytest.raises(TimedOutError, match=r"longer than 0\.3 s and was cancelled"):
        warehouse.query(query, timeout_s=0.3)
    until_idle(on_aws)
    assert "CancelStatement" in on_aws.aws.calls
    assert warehouse.query("SELECT 1 AS one", timeout_s=30).to_pylist() == [{"one": 1}]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_caller_that_is_stopped_takes_its_query_along(on_aws: RedshiftOnAws, warehouse: RedshiftWarehouse) -> None:
    query = slow(on_aws, warehouse)
    with pytest.raises(KeyboardInterrupt), stopped(signal.SIGINT, lambda: working(on_aws)):
        warehouse.query(query)
    gc.collect()
    until_idle(on_aws)
    assert warehouse.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]


def test_a_connection_that_the_cluster_lost_is_unavailable_and_the_next_query_works(
    on_aws: RedshiftOnAws, warehouse: RedshiftWarehouse
) -> None:
    warehouse.query("SELECT 1 AS one")
    on_aws.redshift.server.psql(
        f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '{APPLICATION}'"
    )
    assert warehouse.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]


def test_a_result_that_is_too_large_says_what_to_do(on_aws: RedshiftOnAws, warehouse: RedshiftWarehouse) -> None:
    error = StatementFailedError("ERROR: Database response exceeded size limit")
    told = warehouse._session._mapped(error, "Query")  # type: ignore[attr-defined]
    assert isinstance(told, DataError)
    assert "unload it; or use another access" in str(told)


def test_a_session_is_ended_when_it_is_closed(on_aws: RedshiftOnAws, warehouse: RedshiftWarehouse) -> None:
    until_idle(on_aws)
    before = len(on_aws.data_api.sessions)
    warehouse.query("SELECT 1 AS one")
    warehouse.close()
    deadline = time.monotonic() + 30
    while len(on_aws.data_api.sessions) >= max(before, 1):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_without_boto3_the_install_line_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    settings = redshift_settings({"access": "data-api", "workgroup": "w", "region": "us-east-1"})
    from mlplatform.adapters.secrets.environment import EnvironmentSecrets

    with pytest.raises(ProfileError, match=r"pip install 'mlplatform\[redshift\]'"):
        RedshiftWarehouse(settings, EnvironmentSecrets({}), system="s").query("SELECT 1 AS one")


def test_values_are_not_told_where_columns_are_personal(on_aws: RedshiftOnAws, warehouse: RedshiftWarehouse) -> None:
    settings = redshift_settings(on_aws.settings("data-api"))
    from mlplatform.adapters.secrets.environment import EnvironmentSecrets

    masked = RedshiftWarehouse(settings, EnvironmentSecrets({}), system=warehouse.system, masked=True)
    with pytest.raises(PlatformError) as told:
        masked.query("SELECT CAST('qvxz' || text AS bigint) AS n FROM (SELECT 'mark' AS text) AS t")
    assert "qvxz" not in f"{told.value}{told.value.__cause__}"
    masked.close()

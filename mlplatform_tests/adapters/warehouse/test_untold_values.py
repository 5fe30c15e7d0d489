"""A warehouse of a system with personal columns: the driver's errors quote values, and ours do not."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse import snowflake_errors
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.adapters.warehouse.ducklake_commit import retried
from mlplatform.adapters.warehouse.redshift_errors import platform_error, query_error
from mlplatform.errors import BugError, DataError, NotFoundError, PlatformError, StateError, UnavailableError

WRONG = "SELECT CAST('qvxzmark' || range AS INTEGER) AS n FROM range(3)"
TOO_LARGE = "SELECT CAST(range * 7391582643 AS INTEGER) AS n FROM range(1, 3)"


@pytest.fixture
def calls(tmp_path: Path) -> dict[str, Callable[[str], object]]:
    warehouse = DuckLakeWarehouse(tmp_path / "warehouse", masked=True)
    store = DirectoryObjectStore(tmp_path / "objects")
    return {"query": warehouse.query, "unload": lambda sql: warehouse.unload({"u/": sql}, store)}


@pytest.mark.parametrize("sql", [WRONG, TOO_LARGE])
@pytest.mark.parametrize("call", ["query", "unload"])
def test_what_failed_on_a_value_tells_its_kind_and_not_the_value(
    calls: dict[str, Callable[[str], object]], call: str, sql: str
) -> None:
    with pytest.raises(DataError, match="Conversion error on a value, which is not told") as caught:
        calls[call](sql)
    told = "".join(traceback.format_exception(caught.value))
    assert "qvxzmark0" not in told
    assert "7391582643" not in told.replace(TOO_LARGE, "")


def test_what_is_wrong_with_the_statement_itself_is_told(calls: dict[str, Callable[[str], object]]) -> None:
    with pytest.raises(DataError, match=r'syntax error at or near "SELEC"'):
        calls["query"]("SELEC 1 FROM x")
    with pytest.raises(NotFoundError, match="no table 'nope'"):
        calls["query"]("SELECT 1 FROM nope")


def _redshift(state: str, message: str) -> PlatformError:
    error = platform_error(RuntimeError({"C": state, "M": message}), "statement", masked=True)
    error.__context__ = RuntimeError({"C": state, "M": message})
    return query_error(error, tables=["t"], columns=["a"], timeout_s=None, masked=True)


def test_of_redshifts_errors_those_on_values_are_not_told() -> None:
    on_value = _redshift("22P02", 'invalid input syntax for type double precision: "qvxzmark"')
    assert isinstance(on_value, DataError)
    assert "qvxzmark" not in str(on_value)
    assert "syntax error at or near" in str(_redshift("42601", 'syntax error at or near "SELEC"'))
    assert "qvxzmark" not in str(platform_error(RuntimeError({"C": "22P02", "M": "qvxzmark"}), "load", masked=True))


def _snowflake(errno: int, message: str) -> PlatformError:
    from snowflake.connector.errors import ProgrammingError

    error = snowflake_errors.platform_error(ProgrammingError(msg=message, errno=errno), "statement", masked=True)
    error.__context__ = ProgrammingError(msg=message, errno=errno)
    return snowflake_errors.query_error(
        error, named=["nope", "t"], tables=["t"], columns=["a"], timeout_s=None, masked=True
    )


def test_of_snowflakes_errors_those_on_values_are_not_told() -> None:
    on_value = _snowflake(100038, "Numeric value 'qvxzmark' is not recognized")
    assert isinstance(on_value, DataError)
    assert "qvxzmark" not in str(on_value)
    assert "unexpected 'SELEC'" in str(_snowflake(1003, "syntax error line 1 at position 0 unexpected 'SELEC'."))
    for missing in ("Object 'ML.S.NOPE'", "Schema 'ML.S'"):
        assert "no table 'nope'" in str(_snowflake(2003, f"{missing} does not exist or not authorized."))
    assert "has a column 'prize'" in str(_snowflake(904, "error line 1 at position 7 invalid identifier 'P.\"PRIZE\"'"))


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (duckdb.IOException("Failed to write stats 'qvxzmark': database or disk is full"), UnavailableError, "IO error: database or disk is full"),
        (duckdb.TransactionException("INSERT INTO stats VALUES ('qvxzmark')"), BugError, "whose text is not told"),
        (duckdb.InternalException("Assertion on 'qvxzmark'"), StateError, "the engine broke off"),
        (duckdb.ConstraintException("Duplicate key qvxzmark"), BugError, "Constraint error on a value"),
    ],
)  # fmt: skip
def test_a_commit_that_fails_tells_what_it_is_about(error: Exception, kind: type[PlatformError], message: str) -> None:
    """The engine's own statements hold the smallest and largest value of each file."""

    def attempt() -> None:
        raise error

    with pytest.raises(kind, match=message) as caught:
        retried(attempt, "Load of 'x'", masked=True)
    assert "qvxzmark" not in "".join(traceback.format_exception(caught.value))

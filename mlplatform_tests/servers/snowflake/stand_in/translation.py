"""Between Snowflake and fakesnow: what Snowflake refuses, its errors by number, and what fakesnow gets wrong.

A statement is left as it is, but for temporary tables (`sessions.py`). What is refused here would fail on Snowflake too,
and pass on DuckDB, which fakesnow is made of.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import duckdb
import fakesnow.arrow
import fakesnow.conn
import fakesnow.converter
import fakesnow.info_schema
import fakesnow.server
import pyarrow as pa
import snowflake.connector.errors as errors
import sqlglot
from fakesnow.cursor import FakeSnowflakeCursor
from sqlglot import exp

READER, STRANGER, BLIND = "READER", "STRANGER", "BLIND"
"""Roles: one that may not write; one that may not read a table either, though it knows of it; one that knows of none."""

_DDL = re.compile(r"\s*(CREATE|ALTER|DROP|TRUNCATE)\b", re.I)
_WRITES = re.compile(r"\s*(CREATE|ALTER|DROP|TRUNCATE|INSERT|UPDATE|DELETE|MERGE|COPY|PUT)\b", re.I)
_COLUMN = re.compile(r'Referenced column "([^"]+)" not found|does not have a column named "([^"]+)"')
_TABLE = re.compile(r"Table with name (\S+) does not exist")
_VALUE = re.compile(r"Could not convert string ['\"](.*?)['\"] to")


def refusal(sql: str, *, role: str, in_transaction: bool) -> errors.ProgrammingError | None:
    """Why Snowflake would not run the statement, or would run it otherwise than the adapter means."""
    if role == READER and _WRITES.match(sql):
        return _error(3001, "42501", "SQL access control error:\nInsufficient privileges to operate on schema 'S'.")
    if role in (STRANGER, BLIND) and (table := _read_table(sql)) is not None:
        if role == BLIND:
            return _error(2003, "42S02", f"SQL compilation error:\nObject '{table}' does not exist or not authorized.")
        return _error(
            3001, "42501", f"SQL access control error:\nInsufficient privileges to operate on table '{table}'."
        )
    if in_transaction and _DDL.match(sql):
        return _error(1, "0A000", f"DDL would commit the open transaction: {sql[:200]}")
    for name in _quoted_lower(sql):
        # A name that was never made so: everything the adapter makes is in upper case.
        return _error(
            904, "42000", f"SQL compilation error: error line 1 at position 0\ninvalid identifier '\"{name}\"'"
        )
    return None


def _read_table(sql: str) -> str | None:
    """A table of a schema's own that the statement names."""
    if not re.match(r"\s*(SELECT|WITH)\b", sql, re.I):
        return None
    tables = sqlglot.parse_one(sql, read="snowflake").find_all(exp.Table)
    return next((table.name for table in tables if table.db and table.db.upper() != "INFORMATION_SCHEMA"), None)


def _quoted_lower(sql: str) -> list[str]:
    if not re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER)\b", sql, re.I):
        return []
    tree = sqlglot.parse_one(sql, read="snowflake")
    return [i.name for i in tree.find_all(exp.Identifier) if i.args.get("quoted") and re.search("[a-z]", i.name)]


def _error(errno: int, state: str, message: str) -> errors.ProgrammingError:
    made = errors.ProgrammingError(msg=message, errno=errno, sqlstate=state)
    # The server sends the message alone; the number before it is the client's.
    made.msg = message
    return made


def snowflake_error(error: Exception) -> Exception:
    """The error as Snowflake numbers and words it."""
    text = str(error)
    if isinstance(error, duckdb.InterruptException) or "INTERRUPT" in text:
        return _error(604, "57014", "SQL execution canceled")
    if isinstance(error, duckdb.TransactionException):
        return _error(625, "57014", f"Your statement was aborted because the number of waiters for this lock: {text}")
    if (column := _COLUMN.search(text)) is not None:
        name = column[1] or column[2]
        return _error(904, "42000", f"SQL compilation error: error line 1 at position 7\ninvalid identifier '{name}'")
    if (table := _TABLE.search(text)) is not None:
        return _error(2003, "42S02", f"SQL compilation error:\nObject '{table[1]}' does not exist or not authorized.")
    if (value := _VALUE.search(text)) is not None:
        return _error(100038, "22018", f"Numeric value '{value[1]}' is not recognized")
    if isinstance(error, errors.Error):
        return error
    return _error(1, "XX000", text)


class _Cursor(FakeSnowflakeCursor):
    """Whatever fails is Snowflake's error: fakesnow answers HTTP 500 to what it does not know, and clients try that again."""

    def execute(self, command: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().execute(command, *args, **kwargs)
        except (errors.Error, duckdb.Error) as error:
            raise snowflake_error(error) from error


def mend() -> None:
    """What fakesnow 0.12.1 gets wrong: NULL bound to a type and decimals do not bind, NULL times are read as 1970, a quote in
    a column's name ends a string of its own."""
    fakesnow.conn.FakeSnowflakeCursor = _Cursor  # type: ignore[misc]
    bound, times = fakesnow.converter.from_binding, fakesnow.arrow.timestamp_to_sf_struct

    def from_binding(binding: dict[str, Any]) -> Any:
        value = binding["value"]
        if value is None:
            return None
        return Decimal(value) if binding["type"] == "FIXED" and "." in value else bound(binding)

    def with_nulls(column: Any) -> Any:
        made = times(column)
        flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        return pa.StructArray.from_arrays(made.flatten(), fields=list(made.type), mask=flat.is_null())

    noted = fakesnow.info_schema.insert_text_lengths_sql

    def with_quotes(catalog: str, schema: str, table: str, lengths: list[tuple[str, int]]) -> str:
        return noted(catalog, schema, table, [(name.replace("'", "''"), size) for name, size in lengths])

    fakesnow.info_schema.insert_text_lengths_sql = with_quotes
    fakesnow.server.from_binding = from_binding
    fakesnow.arrow.timestamp_to_sf_struct = with_nulls

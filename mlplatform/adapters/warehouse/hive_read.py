"""Reading in Hive: a query is made from one state of the log, and asked anew where its files were deleted meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain
from typing import Any, TypeVar

from mlplatform.adapters.warehouse.hive_commits import HiveCommits
from mlplatform.adapters.warehouse.hive_connection import HiveConnection
from mlplatform.adapters.warehouse.hive_errors import FilesGoneError, MissingError, RefusedError
from mlplatform.adapters.warehouse.hive_log import State
from mlplatform.adapters.warehouse.hive_parts import HiveParts
from mlplatform.adapters.warehouse.hive_sql import canonical, quoted
from mlplatform.adapters.warehouse.sql_errors import WRONG_QUERY, no_column, no_table
from mlplatform.core.tables.books import BOOKS
from mlplatform.errors import DataError, PlatformError

T = TypeVar("T")
ATTEMPTS = 3


class HiveReader:
    """The tables of one system, as queries name them, beside those that others load into its database."""

    def __init__(self, connection: HiveConnection, commits: HiveCommits, parts: HiveParts, system: str) -> None:
        self._connection = connection
        self._commits = commits
        self._parts = parts
        self._system = system

    @cached_property
    def database(self) -> str:
        """The settings' own, or that of the JDBC URL, or the system's name."""
        return self._connection.database or self._system

    def select(self, state: State, sql: str, parameters: Sequence[Any]) -> str:
        """The statement as Spark's, its tables those of the state."""

        def relation(name: str) -> str | None:
            return self._parts.relation(state, name) if name in state.tables or name in BOOKS else None

        return canonical(sql, parameters, schema=self.database, relation=relation)

    def asked(self, ask: Callable[[State], T], queries: Sequence[str]) -> T:
        """What `ask` gives on the state at hand; its errors with what is there."""

        def whole() -> T:
            state = self._commits.state()
            found = ask(state)
            self.check_readable(state)
            return found

        try:
            return again(whole)
        except MissingError as error:
            state = self._commits.state()
            if error.kind == "table":
                raise no_table(error.name, sorted({*state.tables, *self._others()})) from error.__cause__
            raise no_column(error.name, self._columns(state, queries)) from error.__cause__
        except RefusedError as error:
            raise DataError(f"The query is wrong: {error.told}", next_step=WRONG_QUERY) from error.__cause__

    def check_readable(self, state: State) -> None:
        """That no part of the state was deleted meanwhile: Spark skips a folder that is gone, and says nothing."""
        now = self._commits.state()
        if now.position != state.position and not all(map(now.readable, state.parts)):
            raise FilesGoneError("The query: upkeep deleted files while they were read.", next_step="Try again.")

    def _others(self) -> list[str]:
        """Tables of the database: those that others load, and views."""
        with suppress(PlatformError):
            found = self._connection.read(f"SHOW TABLES IN {quoted(self.database)}")
            return [str(name) for name in found.column("tableName").to_pylist()]
        return []

    def _columns(self, state: State, queries: Sequence[str]) -> list[str]:
        """Columns of the tables that the queries name."""
        named: dict[str, None] = {}

        def noted(name: str) -> str:
            named[name] = None
            return "SELECT 1"

        for sql in queries:
            with suppress(DataError):
                canonical(sql, [None] * sql.count("?"), schema=self.database, relation=noted)
        columns: list[str] = []
        for name in named:
            if (table := state.table(name)) is not None:
                columns += [column for column, _ in table.columns]
            elif name in BOOKS:
                columns += [column for column, _ in BOOKS[name]]
            else:
                with suppress(PlatformError):
                    where = f"{quoted(self.database)}.{quoted(name)}"
                    found = self._connection.read(f"SHOW COLUMNS IN {where}")
                    columns += map(str, found.column("col_name").to_pylist())
        return list(dict.fromkeys(columns))


def begun(rows: Iterator[T]) -> Iterator[T]:
    """The same rows, the first of them there."""
    first = next(rows)
    return chain([first], rows)


def again(action: Callable[[], T]) -> T:
    """What `action` gives, tried anew where upkeep took files away that it was reading."""
    for _ in range(ATTEMPTS - 1):
        with suppress(FilesGoneError):
            return action()
    return action()

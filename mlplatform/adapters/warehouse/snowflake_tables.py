"""The tables of a Snowflake schema: what is there, the lock on the books, and changes, each of which commits by itself.

The lock is a table of one row, made with that row in it: what updates it waits for the transaction that did so before. A
statement that makes or changes a table ends the transaction it stands in, so that they are run while another session holds
the lock, and says something now and then: Snowflake ends a silent transaction that others wait for. A widening that broke
off between two of them is finished, or begun anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from mlplatform.adapters.warehouse.snowflake_connection import SnowflakeConnection
from mlplatform.adapters.warehouse.snowflake_sql import DIALECT, lower, upper
from mlplatform.adapters.warehouse.sql_session import SqlSession
from mlplatform.adapters.warehouse.sql_tables import WIDER, SqlTables
from mlplatform.core.loads.guards import LOADS
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import PlatformError, StateError

LOCK = "_lock"
BEAT_S = 30.0

_LOGICAL = {
    "TEXT": "varchar",
    "FLOAT": "double",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP_NTZ": "timestamp",
    "BINARY": "blob",
}


class SnowflakeTables(SqlTables):
    """The tables of one schema."""

    def __init__(self, connection: SnowflakeConnection, schema: str) -> None:
        super().__init__(connection, DIALECT, schema)
        self._connection = connection
        self._held: _Held | None = None

    def temporary(self, table: str) -> str:
        return self.name(table)

    def columns(self, table: str) -> dict[str, str]:
        rows = self._session.rows(
            "SELECT COLUMN_NAME, DATA_TYPE, NUMERIC_PRECISION, NUMERIC_SCALE FROM INFORMATION_SCHEMA.COLUMNS "
            "WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
            [upper(self.schema), upper(table)],
        )
        return {lower(name): _logical(kind, precision, scale) for name, kind, precision, scale in rows}

    def names(self) -> list[str]:
        rows = self._session.rows(
            "SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME",
            [upper(self.schema)],
        )
        return [name for name in (lower(row[0]) for row in rows) if name != LOCK]

    def databases(self) -> list[str]:
        rows = self._session.rows(
            "SELECT SCHEMA_NAME FROM INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME <> 'INFORMATION_SCHEMA' ORDER BY SCHEMA_NAME"
        )
        return [lower(row[0]) for row in rows]

    def has_books(self) -> bool:
        """Whether the platform keeps tables in the schema, and not only others do."""
        return bool(self.columns(LOCK))

    def lock_books(self) -> None:
        self._lock(self._session)

    def _lock(self, session: SqlSession) -> None:
        if session.count(f"UPDATE {self.name(LOCK)} SET TURN = TURN + 1") != 1:
            raise StateError(f"Table {self.name(LOCK)}, the lock on the books, has no row.", next_step="Insert one: 0.")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        holder = self._connection.another()
        try:
            with holder.transaction():
                self._held = _Held(lambda: self._lock(holder))
                try:
                    yield
                finally:
                    self._held.end()
        finally:
            holder.close()

    def _check_alone(self) -> None:
        if self._held is not None:
            self._held.beat()

    def _create_books(self) -> None:
        super()._create_books()
        self._session.execute(f"CREATE TABLE IF NOT EXISTS {self.name(LOCK)} AS SELECT 0 AS TURN")

    def _create(self, schema: TableSchema) -> None:
        """The counter of loads comes first: a table is never without."""
        guards, counter = self.name("_guards"), [schema.name, LOADS]
        if not self._session.rows(f"SELECT epoch FROM {guards} WHERE table_name = ? AND shard = ?", counter):
            self._session.execute(
                f"INSERT INTO {guards} (table_name, shard, last, epoch) VALUES (?, ?, '0', 0)", counter
            )
        self._make(schema)

    def _mended(self, schema: TableSchema) -> dict[str, str]:
        table, found = self.name(schema.name), self.columns(schema.name)
        for column in [name for name in found if name.endswith(WIDER) and name not in schema.names]:
            name, wider = self.dialect.identifier(column.removesuffix(WIDER)), self.dialect.identifier(column)
            if column.removesuffix(WIDER) in found:
                self._session.execute(f"ALTER TABLE {table} DROP COLUMN {wider}")
            else:
                self._session.execute(f"ALTER TABLE {table} RENAME COLUMN {wider} TO {name}")
        return self.columns(schema.name)

    def _add(self, table: str, column: str, logical: str) -> None:
        name, kind = self.dialect.identifier(column), self.dialect.sql_type(logical)
        self._session.execute(f"ALTER TABLE {self.name(table)} ADD COLUMN IF NOT EXISTS {name} {kind}")


def _logical(kind: str, precision: int | None, scale: int | None) -> str:
    if kind != "NUMBER":
        return _LOGICAL.get(kind, lower(kind))
    return "bigint" if (precision, scale) == (19, 0) else f"decimal({precision},{scale})"


class _Held:
    """A lock that is taken, and once more every `BEAT_S` until the end, in a thread beside."""

    def __init__(self, take: Callable[[], None]) -> None:
        self._take = take
        self._turn = threading.Lock()
        self._done = threading.Event()
        self._lost: PlatformError | None = None
        self.beat()
        self._thread = threading.Thread(target=self._beats, daemon=True)
        self._thread.start()

    def beat(self) -> None:
        """Raises PlatformError where the lock is lost."""
        with self._turn:
            if self._lost is None:
                try:
                    self._take()
                except PlatformError as error:
                    self._lost = error
            if self._lost is not None:
                raise self._lost

    def end(self) -> None:
        self._done.set()
        self._thread.join()

    def _beats(self) -> None:
        with suppress(PlatformError):
            while not self._done.wait(BEAT_S):
                self.beat()

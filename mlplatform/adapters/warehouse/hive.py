"""Hive as a warehouse, as the Spark Thrift Server speaks it: SQL over Parquet files in an object store.

https://spark.apache.org/docs/latest/sql-distributed-sql-engine.html. What it gives: scans, joins and writes over as many
machines as the server has executors. What it does not: transactions, keys, or rows that change. So rows lie in files
that never change, and a log of commits beside them, in the store, says which count (ADR 12); every query reads one
state of it. A commit is an object, a batch is a file: load no more often than once a minute, and run the upkeep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from mlplatform.adapters.warehouse import hive_browsing
from mlplatform.adapters.warehouse.hive_commits import HiveCommits, entry_id
from mlplatform.adapters.warehouse.hive_connection import HiveConnection
from mlplatform.adapters.warehouse.hive_erasure import erase
from mlplatform.adapters.warehouse.hive_errors import FilesGoneError, MissingError, RefusedError
from mlplatform.adapters.warehouse.hive_ledger import HiveLedger
from mlplatform.adapters.warehouse.hive_load import HiveLoad
from mlplatform.adapters.warehouse.hive_log import Entry, State
from mlplatform.adapters.warehouse.hive_maintenance import maintain
from mlplatform.adapters.warehouse.hive_parts import RESERVED, HiveParts
from mlplatform.adapters.warehouse.hive_settings import HiveSettings
from mlplatform.adapters.warehouse.hive_sql import canonical, quoted
from mlplatform.adapters.warehouse.hive_tables import created
from mlplatform.adapters.warehouse.hive_unload import unload
from mlplatform.adapters.warehouse.hive_views import publish
from mlplatform.adapters.warehouse.sql_errors import no_column, no_table
from mlplatform.core.loads.erasure import Erased, Erasure
from mlplatform.core.loads.guards import LOADS
from mlplatform.core.loads.plan import Guard, LoadPlan, Receipt
from mlplatform.core.tables.books import BOOKS, check_names
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import ConflictError, DataError, NotFoundError, PlatformError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Maintained, Unloaded, WarehouseCapabilities

if TYPE_CHECKING:
    import pyarrow as pa

    from mlplatform.ports.secrets import Secrets

T = TypeVar("T")
_ATTEMPTS = 3


def _utc_now() -> datetime:
    return datetime.now(UTC)


class HiveWarehouse:
    """The tables of `system`, whose rows and commits lie in `store`. Connects on first use.

    `masked`: errors do not tell values.
    """

    def __init__(
        self,
        settings: HiveSettings,
        secrets: Secrets,
        store: ObjectStore,
        *,
        system: str,
        now: Callable[[], datetime] = _utc_now,
        masked: bool = False,
    ) -> None:
        self.system = system
        self.settings = settings
        self._secrets = secrets
        self._masked = masked
        self._now = now
        prefix = f"{settings.prefix}{system}/"
        self._connection = HiveConnection(settings, secrets, masked=masked)
        self._log = f"{prefix}_commits/"
        self._commits = HiveCommits(store, self._log)
        self._parts = HiveParts(self._connection, store, prefix)
        self._ledger = HiveLedger(self._connection, self._parts)

    @property
    def capabilities(self) -> WarehouseCapabilities:
        return WarehouseCapabilities(
            dialect="spark", snapshots=False, transactions=False, min_batch_interval_s=60.0, maintenance=True
        )

    def create(self, schema: TableSchema) -> None:
        check_names(schema)
        taken = sorted(set(schema.names) & set(RESERVED))
        if taken:
            raise ConflictError(
                f"Table '{schema.name}' has columns that Hive's warehouse keeps for itself: {', '.join(taken)}.",
                next_step="Choose other names.",
            )

        def entry(state: State) -> Entry | None:
            table = created(state, schema)
            if table is None:
                return None
            counter = () if schema.name in state.tables else (Guard(schema.name, LOADS, "0", 0),)
            return Entry(entry_id(), self._now().isoformat(), tables={schema.name: table}, guards=counter)

        state = self._commits.state()
        table = created(state, schema)
        if table is not None and self.settings.views:
            # Before the commit: one that is cut off here makes it again. Views need a log to look into.
            if state.position == 0:
                self._commits.checkpoint()
            publish(self._connection, self._parts, self.database, schema.name, table, self._log)
        self._commits.commit(entry, f"Table '{schema.name}'")

    def guard(self, table: str, shard: str, *, claim: bool = False) -> Guard:
        found: list[Guard] = []

        def entry(state: State) -> Entry | None:
            if table not in state.tables:
                raise NotFoundError(f"The warehouse has no table '{table}'.", next_step="Create it first.")
            there = state.guards.get((table, shard))
            if there is None:
                found[:] = [Guard(table, shard, "", int(claim))]
            else:
                found[:] = [replace(there, epoch=there.epoch + int(claim))]
            return None if found == [there] else Entry(entry_id(), self._now().isoformat(), guards=tuple(found))

        self._commits.commit(entry, f"Guard of '{table}', shard '{shard}'")
        return found[0]

    def load(self, plan: LoadPlan, schema: TableSchema, store: ObjectStore) -> Receipt:
        load = HiveLoad(self._connection, self._commits, self._parts, plan=plan, schema=schema)
        receipt = _again(lambda: load.run(store, self._now))
        self._ledger.to_parts(self._commits)
        return receipt

    def erase(self, erasure: Erasure) -> Erased:
        return _again(lambda: erase(self._commits, self._parts, erasure))

    def query(
        self, sql: str, parameters: Sequence[Any] = (), *, at: str | None = None, timeout_s: float | None = None
    ) -> pa.Table:
        self._refuse_version(at)

        def answer(state: State) -> pa.Table:
            return self._connection.read(self._select(state, sql, parameters), subject="The query", timeout_s=timeout_s)

        return self._asked(answer, [sql])

    def batches(self, sql: str, *, at: str | None = None) -> Iterator[pa.RecordBatch]:
        """See `ports.batches.Batched`. Over a session of its own: others go on meanwhile."""
        self._refuse_version(at)
        apart = HiveConnection(self.settings, self._secrets, masked=self._masked)
        with closing(apart):
            # What goes wrong with a statement does so before its first row.
            state, begun = self._asked(lambda s: (s, _begun(apart.batches(self._select(s, sql, ())))), [sql])
            yield from begun
            self._check_readable(state)

    def unload(
        self,
        queries: Mapping[str, str],
        store: ObjectStore,
        *,
        format: Literal["parquet", "csv"] = "parquet",  # noqa: A002
        at: str | None = None,
    ) -> dict[str, Unloaded]:
        self._refuse_version(at)

        def written(state: State) -> dict[str, Unloaded]:
            selects = {prefix: self._select(state, sql, ()) for prefix, sql in queries.items()}
            return {
                prefix: Unloaded(
                    unload(self._connection, select, store, prefix, csv=format == "csv"), state.ledger_rows, None
                )
                for prefix, select in selects.items()
            }

        return self._asked(written, list(queries.values()))

    def maintain(
        self,
        *,
        now: datetime,
        keep: timedelta,
        pinned: Sequence[str] = (),  # noqa: ARG002
        on_progress: Callable[[str], None] | None = None,
    ) -> Maintained:
        return maintain(
            self._commits, self._parts, self._ledger, now=now, keep=keep, on_progress=on_progress or (lambda _: None)
        )

    def databases(self) -> list[str]:
        """See `ports.browsing.Browsable`."""
        return hive_browsing.databases(self._connection, self.database)

    def tables(self, database: str | None = None) -> dict[str, dict[str, str]]:
        """See `ports.browsing.Browsable`."""
        return hive_browsing.tables(self._connection, self._commits.state(), self.database, database)

    def close(self) -> None:
        """Ends the session. The next call opens another."""
        self._connection.close()

    @cached_property
    def database(self) -> str:
        """Of views, and of tables that others load."""
        return self._connection.database or self.system

    def _select(self, state: State, sql: str, parameters: Sequence[Any]) -> str:
        def relation(name: str) -> str | None:
            return self._parts.relation(state, name) if name in state.tables or name in BOOKS else None

        return canonical(sql, parameters, schema=self.database, relation=relation)

    def _asked(self, ask: Callable[[State], T], queries: Sequence[str]) -> T:
        """What `ask` gives on the state at hand; its errors with what is there."""

        def whole() -> T:
            state = self._commits.state()
            found = ask(state)
            self._check_readable(state)
            return found

        try:
            return _again(whole)
        except MissingError as error:
            state = self._commits.state()
            if error.kind == "table":
                raise no_table(error.name, sorted({*state.tables, *self._others()})) from error.__cause__
            raise no_column(error.name, self._columns(state, queries)) from error.__cause__
        except RefusedError as error:
            raise DataError(f"The query is wrong: {error.told}") from error.__cause__

    def _check_readable(self, state: State) -> None:
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

    def _refuse_version(self, at: str | None) -> None:
        if at is not None:
            raise DataError(
                f"Hive keeps no snapshots, found a request for version '{at}'.",
                next_step="Read the unloaded parts of that snapshot instead (`capabilities.snapshots`).",
            )


def _begun(rows: Iterator[T]) -> Iterator[T]:
    """The same rows, the first of them there."""
    first = next(rows)
    return chain([first], rows)


def _again(action: Callable[[], T]) -> T:
    """What `action` gives, tried anew where upkeep took files away that it was reading."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(FilesGoneError):
            return action()
    return action()

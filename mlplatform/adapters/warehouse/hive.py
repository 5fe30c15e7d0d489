"""Hive as a warehouse, as the Spark Thrift Server speaks it: SQL over Parquet files in an object store.

https://spark.apache.org/docs/latest/sql-distributed-sql-engine.html. What it gives: scans, joins and writes over as many
machines as the server has executors. What it does not: transactions, keys, or rows that change. So rows lie in files
that never change, and a log of commits beside them, in the store, says which count (ADR 12); every query reads one
state of it. A commit is an object, a batch is a file: load no more often than once a minute, and run the upkeep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from mlplatform.adapters.warehouse import hive_browsing
from mlplatform.adapters.warehouse.hive_commits import HiveCommits, entry_id
from mlplatform.adapters.warehouse.hive_connection import HiveConnection
from mlplatform.adapters.warehouse.hive_erasure import erase
from mlplatform.adapters.warehouse.hive_ledger import HiveLedger
from mlplatform.adapters.warehouse.hive_load import HiveLoad
from mlplatform.adapters.warehouse.hive_log import Entry, State
from mlplatform.adapters.warehouse.hive_maintenance import maintain
from mlplatform.adapters.warehouse.hive_parts import RESERVED, HiveParts
from mlplatform.adapters.warehouse.hive_read import HiveReader, again, begun
from mlplatform.adapters.warehouse.hive_settings import HiveSettings
from mlplatform.adapters.warehouse.hive_tables import created
from mlplatform.adapters.warehouse.hive_unload import unload
from mlplatform.adapters.warehouse.hive_views import publish
from mlplatform.core.loads.erasure import Erased, Erasure
from mlplatform.core.loads.guards import LOADS
from mlplatform.core.loads.plan import Guard, LoadPlan, Receipt
from mlplatform.core.tables.books import check_names
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import ConflictError, DataError, NotFoundError, PlatformError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Maintained, Unloaded, WarehouseCapabilities

if TYPE_CHECKING:
    import pyarrow as pa

    from mlplatform.ports.secrets import Secrets


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
        self._reader = HiveReader(self._connection, self._commits, self._parts, system)

    @property
    def capabilities(self) -> WarehouseCapabilities:
        return WarehouseCapabilities(
            dialect="spark",
            snapshots=False,
            transactions=False,
            min_batch_interval_s=self.settings.min_batch_interval_s,
            maintenance=True,
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
        receipt = again(lambda: load.run(store, self._now))
        self._ledger.to_parts(self._commits)
        return receipt

    def erase(self, erasure: Erasure) -> Erased:
        return again(lambda: erase(self._commits, self._parts, erasure))

    def query(
        self, sql: str, parameters: Sequence[Any] = (), *, at: str | None = None, timeout_s: float | None = None
    ) -> pa.Table:
        self._refuse_version(at)

        def answer(state: State) -> pa.Table:
            return self._connection.read(
                self._reader.select(state, sql, parameters), subject="The query", timeout_s=timeout_s
            )

        return self._reader.asked(answer, [sql])

    def batches(self, sql: str, *, at: str | None = None) -> Iterator[pa.RecordBatch]:
        """See `ports.batches.Batched`. Over a session of its own: others go on meanwhile."""
        self._refuse_version(at)
        apart = HiveConnection(self.settings, self._secrets, masked=self._masked)
        with closing(apart):
            # What goes wrong with a statement does so before its first row.
            state, rows = self._reader.asked(
                lambda s: (s, begun(apart.batches(self._reader.select(s, sql, ())))), [sql]
            )
            yield from rows
            self._reader.check_readable(state)

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
            made: dict[str, Unloaded] = {}
            selects = {prefix: self._reader.select(state, sql, ()) for prefix, sql in queries.items()}
            try:
                for prefix, select in selects.items():
                    parts = unload(self._connection, select, store, prefix, csv=format == "csv")
                    made[prefix] = Unloaded(parts, state.positions(), None)
                self._reader.check_readable(state)
            except PlatformError:
                for part in (part for unloaded in made.values() for part in unloaded.parts):
                    store.delete(part.key)
                raise
            return made

        return self._reader.asked(written, list(queries.values()))

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

    @property
    def database(self) -> str:
        """Of views, and of tables that others load."""
        return self._reader.database

    def _refuse_version(self, at: str | None) -> None:
        if at is not None:
            raise DataError(
                f"Hive keeps no snapshots, found a request for version '{at}'.",
                next_step="Read the unloaded parts of that snapshot instead (`capabilities.snapshots`).",
            )

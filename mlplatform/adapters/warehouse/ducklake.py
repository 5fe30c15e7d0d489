"""DuckLake as a warehouse: Parquet files and a catalogue, on this machine or where a team's meet, used by many processes.

https://ducklake.select. What it gives: snapshots, transactions over tables, schema evolution, no server. What it does
not: it enforces no unique key (checked in SQL while loading), and on SQLite a commit ends every transaction that is open
elsewhere, so that loads keep theirs to milliseconds. Settings: ``threads`` and ``memory_mib`` a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlplatform.adapters.warehouse.ducklake_batches import run_batches
from mlplatform.adapters.warehouse.ducklake_commit import read_guards, retried, transaction
from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform.adapters.warehouse.ducklake_erasure import erase
from mlplatform.adapters.warehouse.ducklake_errors import mapped
from mlplatform.adapters.warehouse.ducklake_load import Load
from mlplatform.adapters.warehouse.ducklake_place import LakePlace
from mlplatform.adapters.warehouse.ducklake_read import run_query
from mlplatform.adapters.warehouse.ducklake_server import asked
from mlplatform.adapters.warehouse.ducklake_tables import (
    changes,
    columns_of,
    create_books,
    create_table,
    logical_type,
    table_names,
)
from mlplatform.adapters.warehouse.ducklake_unload import run_unload
from mlplatform.adapters.warehouse.sql_errors import no_database
from mlplatform.core.loads.erasure import Erased, Erasure
from mlplatform.core.loads.guards import LOADS
from mlplatform.core.loads.plan import Guard, LoadPlan, Receipt
from mlplatform.core.sql import identifier
from mlplatform.core.tables.books import BOOKS, check_names
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import NotFoundError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.versions import EngineVersion
from mlplatform.ports.warehouse import Maintained, Unloaded, WarehouseCapabilities

if TYPE_CHECKING:
    import pyarrow as pa


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DuckLakeWarehouse:
    """A lake under `root`, or at `place` (then `root` holds what is half done). Opened on first use; `close` gives the files
    back. `masked`: errors do not tell values.
    """

    def __init__(
        self,
        root: Path,
        *,
        threads: int | None = None,
        memory_mib: int = 512,
        now: Callable[[], datetime] = _utc_now,
        masked: bool = False,
        place: LakePlace | None = None,
    ) -> None:
        self._engine = DuckLakeEngine(root, threads=threads, memory_mib=memory_mib, masked=masked, place=place)
        self._now = now

    @property
    def capabilities(self) -> WarehouseCapabilities:
        return WarehouseCapabilities(dialect="duckdb", snapshots=True, histogram=True, maintenance=True)

    def create(self, schema: TableSchema) -> None:
        check_names(schema)
        asked(self._engine, lambda: retried(lambda: self._create(schema), f"Table '{schema.name}'"))

    def _create(self, schema: TableSchema) -> None:
        writer = self._engine.writer()
        found = columns_of(writer, schema.name)
        new, wider = changes(schema, found) if found else ([], [])
        if found and not new and not wider and set(BOOKS) <= table_names(writer):
            return
        if wider:
            from mlplatform.adapters.warehouse.ducklake_widen import widen

            widen(self._engine, schema, wider)

        def body() -> None:
            create_books(writer)
            if not found:
                create_table(writer, schema)
            for column in new if found else []:
                writer.execute(
                    f"ALTER TABLE w.main.{identifier(schema.name)} ADD COLUMN {identifier(column.name)} {column.type.upper()}"
                )

        transaction(writer, body)

    def guard(self, table: str, shard: str, *, claim: bool = False) -> Guard:
        subject = f"Guard of '{table}', shard '{shard}'"
        return asked(self._engine, lambda: retried(lambda: self._guard(table, shard, claim), subject), reads=not claim)

    def _guard(self, table: str, shard: str, claim: bool) -> Guard:
        writer = self._engine.writer()
        if not columns_of(writer, table):
            raise NotFoundError(f"The warehouse has no table '{table}'.", next_step="Create it first.")
        found = read_guards(writer, table, (shard,)).get(shard)
        if found is not None and not claim:
            return found

        def body() -> Guard:
            # Touching the table's own row makes two processes that add the same guard row conflict on any catalogue.
            writer.execute("UPDATE w.main._guards SET epoch = epoch WHERE table_name = ? AND shard = ?", [table, LOADS])
            now = read_guards(writer, table, (shard,)).get(shard)
            if now is None:
                epoch = 1 if claim else 0
                writer.execute("INSERT INTO w.main._guards VALUES (?, ?, '', ?)", [table, shard, epoch])
                return Guard(table, shard, "", epoch)
            if claim:
                writer.execute(
                    "UPDATE w.main._guards SET epoch = epoch + 1 WHERE table_name = ? AND shard = ?", [table, shard]
                )
                return Guard(table, shard, now.last, now.epoch + 1)
            return now

        return transaction(writer, body)

    def load(self, plan: LoadPlan, schema: TableSchema, store: ObjectStore) -> Receipt:
        def attempt() -> Receipt:
            with mapped(f"Load of '{plan.key}' into table '{plan.table}'", masked=self._engine.masked):
                return Load(self._engine, plan, schema, store, self._now).run()

        return asked(self._engine, attempt)

    def erase(self, erasure: Erasure) -> Erased:
        subject = f"Erasure from table '{erasure.table}'"
        return asked(
            self._engine,
            lambda: retried(lambda: erase(self._engine.writer(), erasure), subject, masked=self._engine.masked),
        )

    def query(
        self, sql: str, parameters: Sequence[Any] = (), *, at: str | None = None, timeout_s: float | None = None
    ) -> pa.Table:
        return asked(
            self._engine, lambda: run_query(self._engine, sql, parameters, at=at, timeout_s=timeout_s), reads=True
        )

    def batches(self, sql: str, *, at: str | None = None) -> Iterator[pa.RecordBatch]:
        """See `ports.batches.Batched`."""
        return run_batches(self._engine, sql, at=at)

    def unload(
        self,
        queries: Mapping[str, str],
        store: ObjectStore,
        *,
        format: Literal["parquet", "csv"] = "parquet",  # noqa: A002
        at: str | None = None,
    ) -> dict[str, Unloaded]:
        return asked(self._engine, lambda: run_unload(self._engine, queries, store, format=format, at=at))

    def maintain(
        self,
        *,
        now: datetime,
        keep: timedelta,
        pinned: Sequence[str] = (),
        on_progress: Callable[[str], None] | None = None,
    ) -> Maintained:
        from mlplatform.adapters.warehouse.ducklake_maintenance import maintain

        return maintain(self._engine, now=now, keep=keep, pinned=pinned, on_progress=on_progress or (lambda _: None))

    def versions(self) -> list[EngineVersion]:
        """Every snapshot of the catalogue that has not expired."""
        found = self.query("SELECT snapshot_id, snapshot_time FROM w.snapshots() ORDER BY snapshot_id").to_pylist()
        # Each commit's number is the one behind the last's.
        alone = [after["snapshot_id"] == row["snapshot_id"] + 1 for row, after in pairwise(found)]
        return [
            EngineVersion(str(row["snapshot_id"]), row["snapshot_time"].astimezone(UTC), stood)
            for row, stood in zip(found, [*alone, True], strict=False)
        ]

    def databases(self) -> list[str]:
        """See `ports.browsing.Browsable`: a lake holds one system's tables."""
        return ["main"]

    def tables(self, database: str | None = None) -> dict[str, dict[str, str]]:
        """See `ports.browsing.Browsable`."""
        if database not in (None, "main"):
            raise no_database(str(database), self.databases())
        writer = self._engine.writer()
        return {
            name: {column: logical_type(kind) for column, kind in columns_of(writer, name).items()}
            for name in sorted(table_names(writer))
        }

    def close(self) -> None:
        """Ends the connections. The next call opens them again."""
        self._engine.close()

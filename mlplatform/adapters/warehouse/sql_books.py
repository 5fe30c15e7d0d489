"""Guards and ledger of a schema in an SQL warehouse: read, claimed, compared and set."""

from __future__ import annotations

from collections.abc import Sequence

from mlplatform.adapters.warehouse.sql_session import SqlSession
from mlplatform.adapters.warehouse.sql_tables import SqlTables
from mlplatform.core.loads.guards import LOADS, check_guard
from mlplatform.core.loads.plan import Guard, LoadPlan, Receipt
from mlplatform.core.loads.receipts import ledger_row, receipt_of
from mlplatform.core.tables.books import LEDGER
from mlplatform.errors import BugError, ConflictError, NotFoundError

_LEDGER_NAMES = tuple(name for name, _ in LEDGER)


class SqlBooks:
    """Every method that writes belongs into a transaction that locked the books first."""

    def __init__(self, session: SqlSession, tables: SqlTables) -> None:
        self._session = session
        self._tables = tables
        self._identifier = tables.dialect.identifier
        self._guards = tables.name("_guards")
        self._ledger = tables.name("_ledger")

    def guard(self, table: str, shard: str) -> Guard | None:
        """The guard row, or None."""
        rows = self._session.rows(
            f"SELECT last, epoch FROM {self._guards} WHERE table_name = ? AND shard = ?", [table, shard]
        )
        return Guard(table, shard, rows[0][0], int(rows[0][1])) if rows else None

    def claim(self, table: str, shard: str, *, claim: bool) -> Guard:
        """The guard row, made where it is missing, its epoch raised if `claim`."""
        found = self.guard(table, shard)
        if found is None:
            found = Guard(table, shard, "", int(claim))
            self._session.execute(
                f"INSERT INTO {self._guards} (table_name, shard, last, epoch) VALUES (?, ?, ?, ?)",
                [table, shard, found.last, found.epoch],
            )
        elif claim:
            found = Guard(table, shard, found.last, found.epoch + 1)
            self._written(
                f"UPDATE {self._guards} SET epoch = ? WHERE table_name = ? AND shard = ? AND epoch = ?",
                [found.epoch, table, shard, found.epoch - 1],
            )
        return found

    def receipt(self, table: str, batch_id: str) -> Receipt | None:
        """The batch's receipt, or None where it was not loaded."""
        names = ", ".join(map(self._identifier, _LEDGER_NAMES))
        rows = self._session.rows(
            f"SELECT {names} FROM {self._ledger} WHERE table_name = ? AND batch_id = ?", [table, batch_id]
        )
        return receipt_of(dict(zip(_LEDGER_NAMES, rows[0], strict=True))) if rows else None

    def loaded_before(self, receipt: Receipt, superseded: Sequence[str]) -> str | None:
        """Key of another object with the same bytes whose rows are in the table, or None."""
        rows = self._session.rows(
            f"SELECT key, batch_id FROM {self._ledger} WHERE table_name = ? AND content_sha256 = ? AND key <> ? "
            f"AND outcome = 'loaded' ORDER BY {self._identifier('position')} LIMIT 100",
            [receipt.table, receipt.content_sha256, receipt.key],
        )
        return next((key for key, batch in rows if batch not in superseded), None)

    def check(self, plan: LoadPlan) -> Receipt | None:
        """The receipt, where the batch is in the ledger already; else that the guard is where the plan expects it.

        Raises:
            NotFoundError, ConflictError: there is no guard row, or it is elsewhere, or newer than the plan.
        """
        found = self.guard(plan.table, plan.shard)
        if found is None:
            raise NotFoundError(
                f"Shard '{plan.shard}' of table '{plan.table}' has no guard row.",
                next_step="Create the table and read its guard before planning.",
            )
        done = self.receipt(plan.table, plan.batch_id)
        if done is None:
            check_guard(plan, found)
        return done

    def advance(self, plan: LoadPlan) -> int:
        """Compares the guard with the plan and sets it; the position of the ledger row to come."""
        self._written(
            f"UPDATE {self._guards} SET last = ?, epoch = ? WHERE table_name = ? AND shard = ? AND last = ? AND epoch <= ?",
            [plan.upto, plan.epoch, plan.table, plan.shard, plan.last, plan.epoch],
        )
        counter = self.guard(plan.table, LOADS)
        if counter is None:
            raise BugError(f"Table '{plan.table}' has no counter of loads.")
        position = int(counter.last) + 1
        self._written(
            f"UPDATE {self._guards} SET last = ? WHERE table_name = ? AND shard = ? AND last = ?",
            [str(position), plan.table, LOADS, counter.last],
        )
        return position

    def write(self, receipt: Receipt) -> None:
        """The ledger row."""
        row = ledger_row(receipt)
        names = ", ".join(map(self._identifier, row))
        self._session.execute(
            f"INSERT INTO {self._ledger} ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values())
        )

    def positions(self) -> dict[str, int]:
        """Each table's newest position; none where every table is loaded by others, and nobody made the books."""
        if "_ledger" not in self._tables.names():
            return {}
        found = self._session.rows(
            f"SELECT table_name, MAX({self._identifier('position')}) FROM {self._ledger} GROUP BY table_name"
        )
        return {str(table): int(newest) for table, newest in found}

    def _written(self, sql: str, parameters: Sequence[str | int]) -> None:
        """One row must have been written: an UPDATE that meets none raises nothing by itself."""
        changed = self._session.count(sql, parameters)
        if changed != 1:
            raise ConflictError(
                f"A guard row changed meanwhile: expected to write 1 row, wrote {changed}.", next_step="Plan again."
            )

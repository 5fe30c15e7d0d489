"""The transaction that makes a load: milliseconds long, guarded by a compare-and-set, tried again where another was first.

On a SQLite catalogue any commit ends every transaction that is open elsewhere. So everything slow is done before; here
files are only named. The guard's row and the table's counter of loads are written, and the count of rows written is
checked: an UPDATE that meets no row raises nothing by itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from mlplatform.adapters.warehouse.ducklake_errors import is_conflict, mapped
from mlplatform.core.loads.guards import LOADS, check_guard
from mlplatform.core.loads.plan import Guard, LoadPlan, Receipt
from mlplatform.core.loads.receipts import ledger_row
from mlplatform.core.sql import identifier, literal
from mlplatform.errors import ConflictError, TransientError

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

ATTEMPTS = 60
_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.5


class LostRaceError(Exception):
    """The table's counter of loads moved on: what was worked out against it must be worked out again."""


def retried(attempt: Callable[[], T], subject: str, *, masked: bool = False) -> T:
    """What `attempt` returns, after as many conflicts as it takes, within bounds; `masked`: errors do not tell values."""
    import duckdb

    for number in range(ATTEMPTS):
        try:
            return attempt()
        except LostRaceError:
            pass
        except duckdb.Error as error:
            if not is_conflict(error):
                with mapped(subject, masked=masked):
                    raise
        time.sleep(random.uniform(0.2, 1) * min(_PAUSE_S * (number + 1), _LONGEST_PAUSE_S))  # noqa: S311
    raise TransientError(f"{subject}: lost the race for the catalogue {ATTEMPTS} times.", next_step="Try again.")


def transaction(connection: duckdb.DuckDBPyConnection, body: Callable[[], T]) -> T:
    """`body` in one transaction; rolled back whatever it raises."""
    connection.execute("BEGIN")
    try:
        result = body()
        connection.execute("COMMIT")
    except BaseException:
        rollback(connection)
        raise
    return result


def rollback(connection: duckdb.DuckDBPyConnection) -> None:
    """Ends the transaction, if the engine has not done so itself; one whose catalogue's session is gone is over as well."""
    import duckdb

    with suppress(duckdb.Error):
        connection.execute("ROLLBACK")


def read_guards(connection: duckdb.DuckDBPyConnection, table: str, shards: Sequence[str]) -> dict[str, Guard]:
    """Guard rows of `table` by shard, those that are there."""
    wanted = ", ".join(literal(shard) for shard in shards)
    rows = connection.execute(
        f"SELECT shard, last, epoch FROM w.main._guards WHERE table_name = {literal(table)} AND shard IN ({wanted})"
    ).fetchall()
    return {shard: Guard(table, shard, last, epoch) for shard, last, epoch in rows}


def commit(
    connection: duckdb.DuckDBPyConnection,
    plan: LoadPlan,
    receipt: Receipt,
    *,
    rows: str | None,
    quarantine: str | None,
) -> None:
    """Guard, rows, quarantine (locations of published files) and ledger, together or not at all.

    Raises:
        ConflictError: the guard is not where the plan expects it.
        LostRaceError: another load into this table was first.
    """

    def body() -> None:
        _advance(connection, plan, receipt.position)
        table = f"w.main.{identifier(plan.table)}"
        if plan.supersedes and receipt.outcome == "loaded":
            batches = ", ".join(literal(batch) for batch in plan.supersedes)
            connection.execute(f"DELETE FROM {table} WHERE _batch_id IN ({batches})")
            connection.execute(
                f"UPDATE w.main._quarantine SET replayed_at = ? "
                f"WHERE table_name = ? AND replayed_at IS NULL AND batch_id IN ({batches})",
                [receipt.loaded_at.replace(tzinfo=None), plan.table],
            )
        if rows is not None:
            add_file(connection, plan.table, rows)
        if quarantine is not None:
            add_file(connection, "_quarantine", quarantine)
        if plan.replays:
            _mark_replayed(connection, plan, receipt)
        row = ledger_row(receipt)
        connection.execute(
            f"INSERT INTO w.main._ledger ({', '.join(map(identifier, row))}) VALUES ({', '.join('?' * len(row))})",
            list(row.values()),
        )

    transaction(connection, body)


def _advance(connection: duckdb.DuckDBPyConnection, plan: LoadPlan, position: int) -> None:
    """Compares and sets the shard's guard row and the table's counter of loads, in one statement: two rows, or nothing."""
    mine = f"(shard = {literal(plan.shard)} AND last = {literal(plan.last)} AND epoch <= {int(plan.epoch)})"
    counter = f"(shard = {literal(LOADS)} AND last = '{position - 1}')"
    changed = connection.execute(
        f"UPDATE w.main._guards SET last = CASE shard WHEN {literal(LOADS)} THEN '{position}' ELSE {literal(plan.upto)} END, "
        f"epoch = CASE shard WHEN {literal(LOADS)} THEN epoch ELSE {int(plan.epoch)} END "
        f"WHERE table_name = {literal(plan.table)} AND ({mine} OR {counter})"
    ).fetchone()
    if changed is not None and changed[0] == 2:
        return
    found = read_guards(connection, plan.table, (plan.shard,))
    if plan.shard in found:
        check_guard(plan, found[plan.shard])
    raise LostRaceError


def add_file(connection: duckdb.DuckDBPyConnection, table: str, location: str) -> None:
    """Names a published file as part of a table, in the transaction that is open."""
    connection.execute(
        f"CALL ducklake_add_data_files('w', {literal(table)}, {literal(location)}, schema => 'main', allow_missing => true)"
    )


def _mark_replayed(connection: duckdb.DuckDBPyConnection, plan: LoadPlan, receipt: Receipt) -> None:
    ids = ", ".join(literal(name) for name in plan.replays)
    changed = connection.execute(
        f"UPDATE w.main._quarantine SET replayed_at = ? WHERE table_name = ? AND replayed_at IS NULL AND quarantine_id IN ({ids})",
        [receipt.loaded_at.replace(tzinfo=None), plan.table],
    ).fetchone()
    if changed is None or changed[0] != len(plan.replays):
        raise ConflictError(
            f"Replay into table '{plan.table}': expected {len(plan.replays)} records that wait in quarantine, "
            f"found {0 if changed is None else changed[0]}.",
            next_step="Nothing was loaded; list the quarantine again.",
        )

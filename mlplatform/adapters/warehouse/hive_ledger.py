"""Ledger rows of a system in Hive: the newest stand in the state, the others in parts that the server looks through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from mlplatform.adapters.warehouse.hive_commits import HiveCommits, entry_id
from mlplatform.adapters.warehouse.hive_connection import HiveConnection
from mlplatform.adapters.warehouse.hive_log import Entry, Part, State, folder_of
from mlplatform.adapters.warehouse.hive_parts import HiveParts
from mlplatform.adapters.warehouse.hive_sql import literal
from mlplatform.core.loads.plan import LoadPlan, Receipt
from mlplatform.core.loads.receipts import ledger_row, receipt_of
from mlplatform.core.tables.books import LEDGER

MOST_IN_STATE = 200


class HiveLedger:
    """Looks receipts up."""

    def __init__(self, connection: HiveConnection, parts: HiveParts) -> None:
        self._connection = connection
        self._parts = parts

    def receipt(self, state: State, table: str, batch_id: str) -> Receipt | None:
        """The batch's receipt, or None where it was not loaded."""
        found = self._rows(
            state,
            lambda row: row["table_name"] == table and row["batch_id"] == batch_id,
            f"table_name = {literal(table)} AND batch_id = {literal(batch_id)}",
        )
        return _receipt(found[0]) if found else None

    def twin(self, state: State, receipt: Receipt, plan: LoadPlan) -> str | None:
        """Key of another object with the same bytes whose rows are in the table, where the plan asks for that."""
        if receipt.outcome != "loaded" or plan.same_content != "refuse":
            return None
        sha256 = receipt.content_sha256
        found = self._rows(
            state,
            lambda row: (
                (row["table_name"], row["content_sha256"], row["outcome"]) == (plan.table, sha256, "loaded")
                and row["key"] != plan.key
                and row["batch_id"] not in plan.supersedes
            ),
            f"table_name = {literal(plan.table)} AND content_sha256 = {literal(sha256)} AND outcome = 'loaded' "
            f"AND `key` <> {literal(plan.key)} AND batch_id NOT IN ({', '.join(map(literal, (*plan.supersedes, '')))})",
        )
        return str(found[0]["key"]) if found else None

    def to_parts(self, commits: HiveCommits, *, at_least: int | None = None) -> None:
        """Moves the state's ledger rows to a part where they are that many; the state is read at every look."""
        part: Part | None = None

        def entry(state: State) -> Entry | None:
            nonlocal part
            if len(state.ledger) < (MOST_IN_STATE if at_least is None else at_least):
                return None
            rows = [row for _, row in state.ledger]
            part = self._parts.put("_ledger", folder_of("_ledger", LEDGER), "several", _parquet(rows), len(rows))
            now = datetime.now(UTC).isoformat()
            return Entry(entry_id(), now, added=(part,), in_parts=state.position)

        commits.commit(entry, "The ledger")

    def _rows(self, state: State, wanted: Callable[[Any], bool], where: str) -> list[dict[str, Any]]:
        """Rows that meet the condition, said in Python and in SQL."""
        parts = state.parts_of("_ledger")
        found = [dict(row) for _, row in state.ledger if wanted(row)]
        if parts and not found:
            relation = self._parts.relation(state, "_ledger", parts=parts)
            select = f"SELECT * FROM ({relation}) AS l WHERE {where} ORDER BY position LIMIT 1"
            found = self._connection.read(select, subject="The ledger").to_pylist()
        return found


def _parquet(rows: list[Mapping[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"varchar": pa.string(), "bigint": pa.int64(), "timestamp": pa.timestamp("us")}
    schema = pa.schema([pa.field(name, kinds[kind]) for name, kind in LEDGER])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([ledger_row(_receipt(dict(row))) for row in rows], schema=schema), sink)
    return bytes(sink.getvalue())


def _receipt(row: dict[str, Any]) -> Receipt:
    at = row["loaded_at"]
    return receipt_of({**row, "loaded_at": datetime.fromisoformat(at) if isinstance(at, str) else at})

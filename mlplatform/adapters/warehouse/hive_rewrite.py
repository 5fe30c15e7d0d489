"""Rows taken out or changed: parts that hold such are written anew by the server, and swapped by the next commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mlplatform.adapters.warehouse.hive_log import Part, State, folder_of
from mlplatform.adapters.warehouse.hive_parts import HiveParts
from mlplatform.adapters.warehouse.hive_sql import literal, quoted, value_sql
from mlplatform.core.loads.plan import LoadPlan, Receipt
from mlplatform.errors import BugError, ConflictError


@dataclass(frozen=True)
class Swap:
    """Parts that come, parts that go, and how many rows that met the condition the latter held."""

    added: tuple[Part, ...] = ()
    removed: tuple[str, ...] = ()
    hits: int = 0


def without(parts: HiveParts, state: State, table: str, where: str, *, among: Sequence[Part] | None = None) -> Swap:
    """The table (its parts `among`) without the rows that meet the condition (Spark's SQL)."""
    chosen = state.parts_of(table) if among is None else among
    found = parts.holding(state, table, where, chosen)
    if not found:
        return Swap()
    concerned = [part for part in chosen if part.id in found]
    hits, total = (sum(counts[place] for counts in found.values()) for place in (0, 1))
    if hits == total:
        return Swap((), tuple(found), hits)
    rest = f"SELECT * FROM ({parts.relation(state, table, parts=concerned)}) AS r WHERE ({where}) IS NOT TRUE"
    return Swap((_written(parts, state, table, rest, total - hits),), tuple(found), hits)


def without_batches(parts: HiveParts, state: State, table: str, batches: Sequence[str]) -> Swap:
    """The table without the rows of these batches. A part of one batch alone goes unread."""
    alone = [p for p in state.parts_of(table) if p.id.rpartition("-")[0] in batches]
    others = [p for p in state.parts_of(table) if p.id.startswith("several-")]
    names = ", ".join(map(literal, batches))
    swap = without(parts, state, table, f"_batch_id IN ({names})", among=others)
    return Swap(swap.added, (*(p.id for p in alone), *swap.removed), swap.hits + sum(p.rows for p in alone))


def marked_as_replayed(parts: HiveParts, state: State, plan: LoadPlan, receipt: Receipt) -> Swap:
    """The quarantine with the records that the plan replays marked, and those of the batches that it supersedes.

    Raises:
        ConflictError: other than the plan's records wait.
    """
    swap = Swap()
    if plan.replays:
        swap = _marked(
            parts, state, plan, f"quarantine_id IN ({', '.join(map(literal, plan.replays))})", receipt.loaded_at
        )
        if swap.hits != len(plan.replays):
            parts.delete(swap.added)
            raise ConflictError(
                f"Replay into table '{plan.table}': expected {len(plan.replays)} records that wait in quarantine, "
                f"found {swap.hits}.",
                next_step="Nothing was loaded; list the quarantine again.",
            )
    if plan.supersedes and receipt.outcome == "loaded":
        if plan.replays:
            raise BugError(f"A plan for '{plan.key}' replays records and supersedes batches, expected one of both.")
        swap = _marked(
            parts, state, plan, f"batch_id IN ({', '.join(map(literal, plan.supersedes))})", receipt.loaded_at
        )
    return swap


def _marked(parts: HiveParts, state: State, plan: LoadPlan, which: str, at: datetime) -> Swap:
    where = f"table_name = {literal(plan.table)} AND replayed_at IS NULL AND {which}"
    book = "_quarantine"
    found = parts.holding(state, book, where, state.parts_of(book))
    table = state.table(book)
    if not found or table is None:
        return Swap()
    columns = ", ".join(
        f"CASE WHEN {where} THEN {value_sql(at)} ELSE replayed_at END AS replayed_at"
        if name == "replayed_at"
        else quoted(name)
        for name, _ in table.columns
    )
    concerned = [part for part in state.parts_of(book) if part.id in found]
    hits, total = (sum(counts[place] for counts in found.values()) for place in (0, 1))
    select = f"SELECT {columns} FROM ({parts.relation(state, book, parts=concerned)}) AS r"
    return Swap((_written(parts, state, book, select, total),), tuple(found), hits)


def _written(parts: HiveParts, state: State, table: str, select: str, rows: int) -> Part:
    found = state.table(table)
    if found is None:
        raise BugError(f"Table '{table}' is in no commit.")
    return parts.write(table, folder_of(table, found.columns), select, rows)

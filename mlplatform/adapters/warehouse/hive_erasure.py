"""Erasure in Hive: parts that hold such rows or records are written anew without them, swapped by one commit, and deleted."""

from __future__ import annotations

from mlplatform.adapters.warehouse.hive_commits import HiveCommits, entry_id
from mlplatform.adapters.warehouse.hive_log import Entry, Part, State
from mlplatform.adapters.warehouse.hive_parts import HiveParts
from mlplatform.adapters.warehouse.hive_rewrite import Swap, without
from mlplatform.adapters.warehouse.hive_sql import condition, literal
from mlplatform.core.loads.erasure import Erased, Erasure


def erase(commits: HiveCommits, parts: HiveParts, erasure: Erasure) -> Erased:
    """See `ports.warehouse.Warehouse.erase`."""
    erased = Erased(0, 0)
    made: list[Part] = []
    taken: list[Part] = []

    def entry(state: State) -> Entry | None:
        nonlocal erased
        swaps = _swaps(parts, state, erasure)
        made.extend(part for swap in swaps for part in swap.added)
        taken[:] = [state.parts[name] for swap in swaps for name in swap.removed]
        erased = Erased(*(swap.hits for swap in swaps))
        if not erased.rows and not erased.records:
            return None
        return Entry(
            entry_id(),
            erasure.erased_at.isoformat(),
            erasures=(erasure.row(erased, snapshots=False),),
            added=tuple(part for swap in swaps for part in swap.added),
            removed=tuple(part.id for part in taken),
            doomed=tuple(part.id for part in taken),
        )

    try:
        commits.commit(entry, f"Erasure from table '{erasure.table}'")
    finally:
        alive = commits.state().parts
        parts.delete([part for part in (*made, *taken) if part.id not in alive])
    return erased


def _swaps(parts: HiveParts, state: State, erasure: Erasure) -> tuple[Swap, Swap]:
    """Of the table's rows, and of the quarantine's records."""
    table = state.tables.get(erasure.table)
    erasure.check_columns([name for name, _ in table.columns] if table is not None else ())
    rows = records = Swap()
    if erasure.conditions:
        rows = without(parts, state, erasure.table, condition(erasure.where(), erasure.parameters()))
    if erasure.records:
        ids = ", ".join(map(literal, erasure.records))
        where = f"table_name = {literal(erasure.table)} AND quarantine_id IN ({ids})"
        records = without(parts, state, "_quarantine", where)
    return rows, records

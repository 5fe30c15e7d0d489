"""One load into Hive: staged on this machine, put into the store as parts, counted by one commit or not at all.

What a commit leans on is the state it is made from: where another came first, guard, duplicates and quarantine are
looked at again, as far as they changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from mlplatform.adapters.warehouse.hive_commits import HiveCommits, entry_id
from mlplatform.adapters.warehouse.hive_connection import HiveConnection
from mlplatform.adapters.warehouse.hive_ledger import HiveLedger
from mlplatform.adapters.warehouse.hive_log import BOOK_TABLES, Entry, Part, State, folder_of
from mlplatform.adapters.warehouse.hive_parts import HiveParts
from mlplatform.adapters.warehouse.hive_rewrite import Swap, marked_as_replayed, without_batches
from mlplatform.adapters.warehouse.hive_sql import literal, quoted
from mlplatform.adapters.warehouse.hive_tables import columns_of, loaded
from mlplatform.adapters.warehouse.sql_files import Files, staged_files
from mlplatform.adapters.warehouse.staging.draft import refused_twin
from mlplatform.adapters.warehouse.staging.source import check_unchanged
from mlplatform.core.loads.guards import LOADS, check_guard
from mlplatform.core.loads.plan import Guard, LoadPlan, Receipt
from mlplatform.core.loads.receipts import balanced, ledger_row
from mlplatform.core.sql import identifier
from mlplatform.core.sql import literal as text_literal
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import NotFoundError
from mlplatform.ports.object_store import ObjectStore


@dataclass(frozen=True)
class _Candidate:
    """The batch's rows as a part, and the receipt that goes with it; `checked`: parts that have none of its keys."""

    receipt: Receipt
    part: Part | None
    checked: frozenset[str] = frozenset()


class HiveLoad:
    """One plan being loaded."""

    def __init__(
        self, connection: HiveConnection, commits: HiveCommits, parts: HiveParts, *, plan: LoadPlan, schema: TableSchema
    ) -> None:
        self._connection = connection
        self._commits = commits
        self._parts = parts
        self._ledger = HiveLedger(connection, parts)
        self._plan = plan
        self._schema = schema
        self._folder = folder_of(plan.table, columns_of(schema))
        self._subject = f"Load of '{plan.key}' into '{plan.table}'"
        self._made: list[Part] = []

    def run(self, store: ObjectStore, now: Callable[[], datetime]) -> Receipt:
        """Loads the object, unless that was done before. See `ports.warehouse.Warehouse.load`."""
        state = self._commits.state()
        loaded(state, self._schema)
        if (done := self._done(state)) is not None:
            return done
        with TemporaryDirectory(prefix="hive-load-") as scratch:
            staged = staged_files(self._plan, self._schema, store, Path(scratch), now)
            check_unchanged(self._plan, store)
            try:
                return self._commit(staged)
            finally:
                # Parts that no commit names are nobody's. Those of a kill go in upkeep.
                if self._made:
                    alive = self._commits.state().parts
                    self._parts.delete([part for part in self._made if part.id not in alive])

    def _done(self, state: State) -> Receipt | None:
        """The receipt, where the batch is in the ledger already; else that the guard is where the plan expects it."""
        plan = self._plan
        found = state.guards.get((plan.table, plan.shard))
        if found is None:
            raise NotFoundError(
                f"Shard '{plan.shard}' of table '{plan.table}' has no guard row.",
                next_step="Create the table and read its guard before planning.",
            )
        if found.last == plan.last and found.epoch <= plan.epoch:
            return None  # A batch that is in the ledger has moved the guard.
        done = self._ledger.receipt(state, plan.table, plan.batch_id)
        if done is None:
            check_guard(plan, found)
        return done

    def _commit(self, staged: Files) -> Receipt:
        receipt = staged.receipt
        rows = self._put(self._plan.table, self._folder, staged.rows, receipt.loaded)
        if staged.rows is not None:
            receipt = self._with_range(receipt, staged.rows)
        candidate = _Candidate(receipt, rows)
        book = folder_of("_quarantine", BOOK_TABLES["_quarantine"])
        quarantined = self._put("_quarantine", book, staged.quarantine, receipt.quarantined)
        made = receipt

        def entry(state: State) -> Entry | None:
            nonlocal candidate, made
            if (done := self._done(state)) is not None:
                made = done
                return None
            candidate = self._without_duplicates(state, candidate)
            made, found = self._entry(state, candidate, quarantined)
            return found

        self._commits.commit(entry, self._subject)
        return made

    def _entry(self, state: State, candidate: _Candidate, quarantined: Part | None) -> tuple[Receipt, Entry]:
        plan, receipt, part = self._plan, candidate.receipt, candidate.part
        swap = Swap()
        twin = self._ledger.twin(state, receipt, plan)
        if twin is not None:
            receipt, part, quarantined = refused_twin(receipt, twin), None, None
        elif plan.supersedes and receipt.outcome == "loaded":
            swap = without_batches(self._parts, state, plan.table, plan.supersedes)
        marks = marked_as_replayed(self._parts, state, plan, receipt)
        self._made += [*swap.added, *marks.added]
        counter = state.guards[plan.table, LOADS]
        receipt = balanced(replace(receipt, position=int(counter.last) + 1))
        return receipt, Entry(
            entry_id(),
            receipt.loaded_at.isoformat(),
            tables=loaded(state, self._schema),
            guards=(Guard(plan.table, plan.shard, plan.upto, plan.epoch), replace(counter, last=str(receipt.position))),
            ledger=(ledger_row(receipt),),
            added=tuple(p for p in (part, quarantined, *swap.added, *marks.added) if p is not None),
            removed=(*swap.removed, *marks.removed),
        )

    def _put(self, table: str, folder: str, file: Path | None, rows: int) -> Part | None:
        if file is None:
            return None
        part = self._parts.put(table, folder, self._plan.batch_id, file, rows)
        self._made.append(part)
        return part

    def _with_range(self, receipt: Receipt, file: Path) -> Receipt:
        """The receipt with the range of event times in the staged rows."""
        import duckdb

        if self._schema.event_time is None:
            return receipt
        column = identifier(self._schema.event_time)
        with duckdb.connect() as connection:
            ends = connection.execute(
                f"SELECT CAST(min({column}) AS VARCHAR), CAST(max({column}) AS VARCHAR) "
                f"FROM read_parquet({text_literal(str(file))})"
            ).fetchone()
        return replace(receipt, event_time_min=ends[0], event_time_max=ends[1]) if ends else receipt

    def _without_duplicates(self, state: State, candidate: _Candidate) -> _Candidate:
        """The candidate without rows whose key the table has; parts that were looked at before are not again."""
        part, receipt, schema = candidate.part, candidate.receipt, self._schema
        known = [p for p in state.parts_of(schema.name) if p.id not in candidate.checked]
        if part is None or not known or not schema.unique_key:
            return candidate
        same = " AND ".join(
            f"fresh.{quoted(name)} {'<=>' if schema.column(name).nullable else '='} known.{quoted(name)}"
            for name in schema.unique_key
        )
        relation = f"SELECT * FROM ({self._parts.relation(state, schema.name, parts=known)}) AS k"
        if self._plan.supersedes:
            relation += f" WHERE _batch_id NOT IN ({', '.join(map(literal, self._plan.supersedes))})"
        fresh = f"{self._parts.files_of(part)} AS fresh LEFT ANTI JOIN ({relation}) AS known ON {same}"
        ends = "CAST(NULL AS STRING) AS low, CAST(NULL AS STRING) AS high"
        if schema.event_time is not None:
            column = f"fresh.{quoted(schema.event_time)}"
            ends = f"CAST(min({column}) AS STRING) AS low, CAST(max({column}) AS STRING) AS high"
        found = self._connection.read(f"SELECT count(*) AS n, {ends} FROM {fresh}", subject=self._subject).to_pylist()[
            0
        ]
        checked = candidate.checked | {p.id for p in known}
        twice = receipt.loaded - found["n"]
        if not twice:
            return _Candidate(receipt, part, checked)
        receipt = replace(
            receipt,
            loaded=found["n"],
            duplicates=receipt.duplicates + twice,
            event_time_min=found["low"],
            event_time_max=found["high"],
        )
        rest = self._rewritten(part, fresh, found["n"]) if found["n"] else None
        return _Candidate(receipt, rest, checked)

    def _rewritten(self, part: Part, fresh: str, rows: int) -> Part:
        made = self._parts.write(
            part.table, part.folder, f"SELECT fresh.* FROM {fresh}", rows, batch_id=self._plan.batch_id
        )
        self._made.append(made)
        return made

"""Warehouse: tables loaded exactly once, queried, unloaded at a snapshot.

SQL handed to a warehouse is written in DuckDB's dialect; an adapter transpiles it to its own (sqlglot).
Table names are plain; the adapter knows the schema or catalogue they live in. Beside each table `t` an adapter keeps
the tables `_ledger` (one row a batch: `core.loads.plan.Receipt`), `_guards` (`core.loads.plan.Guard`), `_quarantine`
(`core.loads.plan.QuarantinedRecord`) and `_erasures` (`core.loads.erasure.Erasure`), readable through `query` like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from mlplatform.core.loads.erasure import Erased, Erasure
    from mlplatform.core.loads.plan import Guard, LoadPlan, Receipt
    from mlplatform.core.loads.snapshot import Part
    from mlplatform.core.tables.schema import TableSchema
    from mlplatform.ports.object_store import ObjectStore


FOR_EVER = timedelta(days=365_000)
"""Upkeep that keeps so long only merges: the clock is not believed, and what is deleted by a wrong one is gone."""


@dataclass(frozen=True)
class WarehouseCapabilities:
    """What a warehouse can do, as data.

    Attributes:
        dialect: sqlglot's name of its SQL dialect.
        snapshots: whether `query` and `unload` take `at`.
        transactions: whether rows, ledger and guard change in one transaction.
        min_batch_interval_s: how often a table may be appended to without harm; deliveries of a stream
            wait so long, a shard at a time, unless an object is full before.
        histogram: whether SQL's ``histogram(column, boundaries)`` works; else counts by CASE.
        maintenance: whether `maintain` does anything.
        longest_text_bytes: the longest text it holds; a record with a longer one is quarantined. None: any.
        null_bytes: whether a text may hold a null byte; if not, such a record is quarantined.
    """

    dialect: str
    snapshots: bool
    transactions: bool = True
    min_batch_interval_s: float = 0.0
    histogram: bool = False
    maintenance: bool = False
    longest_text_bytes: int | None = None
    null_bytes: bool = True


@dataclass(frozen=True)
class Unloaded:
    """The parts a query's result was written to, in order, and the engine snapshot they were read at.

    `positions`: the position of each table's newest ledger row at that read (`core.loads.plan.Receipt`); none of a table
    that others load.
    """

    parts: tuple[Part, ...]
    positions: Mapping[str, int]
    engine_version: str | None

    @property
    def ledger_position(self) -> int:
        """How many ledger rows there were."""
        return sum(self.positions.values())


@dataclass(frozen=True)
class Maintained:
    """What maintenance did: files before and after, snapshots expired, files deleted."""

    files_before: int
    files_after: int
    snapshots_expired: int = 0
    files_deleted: int = 0
    kept_versions: tuple[str, ...] = field(default=())


class Warehouse(Protocol):
    """A warehouse as one system sees it. Safe to use from several processes; one instance serves one thread at a time."""

    @property
    def capabilities(self) -> WarehouseCapabilities: ...

    def create(self, schema: TableSchema) -> None:
        """Make the table (with its provenance columns), ledger, guards and quarantine where they are missing.

        Columns the table lacks are added (NULL in old rows); a type may widen (bigint → double, any → varchar).

        Raises:
            ConflictError: the table has a column that the schema cannot become; the message names both types.
        """
        ...

    def guard(self, table: str, shard: str, *, claim: bool = False) -> Guard:
        """The guard row, made where it is missing; `claim` first raises its epoch by one, which locks out older loaders."""
        ...

    def load(self, plan: LoadPlan, schema: TableSchema, store: ObjectStore) -> Receipt:
        """Load one object exactly once: rows, quarantine, ledger row and guard change together or not at all.

        A batch whose ledger row exists already is not loaded again: its receipt is returned.

        Raises:
            ConflictError: the guard is not at `plan.last`, or its epoch is newer than the plan's; nothing was changed.
            NotFoundError: the object is gone.
            TransientError: the transaction lost a race too often; nothing was changed.
        """
        ...

    def erase(self, erasure: Erasure) -> Erased:
        """Take rows and quarantined records out for good, and write that into `_erasures`, together or not at all.

        `query` and `unload` stop showing them at once. With snapshots, their bytes stay until the last snapshot that
        shows them expires; where the erasure says so, the next `maintain` expires all that were made before it, pinned too.
        Nothing is written where nothing matched, unless snapshots are concerned.

        Raises:
            NotFoundError: no such table or column.
            TransientError: the transaction lost a race too often; nothing was changed.
        """
        ...

    def query(
        self, sql: str, parameters: Sequence[Any] = (), *, at: str | None = None, timeout_s: float | None = None
    ) -> pa.Table:
        """Rows of one read-only statement; ``?`` stands for a parameter; `at` an engine snapshot version.

        Raises:
            NotFoundError: a table or column that is not there, by name, with those that are.
            DataError: bad SQL, or a statement that writes.
            TimedOutError: longer than `timeout_s`; the statement was cancelled.
        """
        ...

    def unload(
        self,
        queries: Mapping[str, str],
        store: ObjectStore,
        *,
        format: Literal["parquet", "csv"] = "parquet",  # noqa: A002
        at: str | None = None,
    ) -> dict[str, Unloaded]:
        """Write each query's rows (key: the prefix its parts go to) to the store, all read at one snapshot.

        A query's order goes through its parts. Each part of CSV has the header.
        """
        ...

    def maintain(
        self,
        *,
        now: datetime,
        keep: timedelta,
        pinned: Sequence[str] = (),
        on_progress: Callable[[str], None] | None = None,
    ) -> Maintained:
        """Merge small files, expire snapshots older than `keep`, delete files nobody needs; with `FOR_EVER` only merge.

        A `pinned` version never expires, unless an erasure from snapshots released it.
        """
        ...

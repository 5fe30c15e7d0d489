"""One system as a notebook reads it: tables at a moment, feature rows, models, what monitors found, lineage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlplatform.core.sql import identifier
from mlplatform.core.tables.sampling import Random, Stratified, sample_sql
from mlplatform.core.tables.schema import PROVENANCE
from mlplatform.errors import DataError, NotFoundError
from mlplatform.notebook.model import ModelView
from mlplatform.notebook.moment import Moment, version_at
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.table import TableSpec

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlplatform.platform import Platform, SystemStations
    from mlplatform.spec.system import SystemSpec
    from mlplatform.stations.feature_snapshot import FeatureSnapshot
    from mlplatform.stations.lineage import LineageRecord

TIMEOUT_S = 600.0


class SystemView:
    """A system; read-only, and safe beside everything that runs. Use it from one thread at a time."""

    def __init__(self, platform: Platform, stations: SystemStations) -> None:
        self._platform = platform
        self._stations = stations

    def __repr__(self) -> str:
        stations = ", ".join(f"{s.name} ({type(s).__name__.removesuffix('Spec')})" for s in self.spec.stations)
        return f"system {self.spec.name}: {stations}"

    @property
    def spec(self) -> SystemSpec:
        """Its YAML."""
        return self._stations.spec

    def table(
        self,
        name: str,
        *,
        at: Moment | None = None,
        columns: Sequence[str] | None = None,
        where: str = "",
        limit: int | None = None,
        provenance: bool = False,
    ) -> pa.Table:
        """Rows of a table, or of an endpoint's captured answers (``<endpoint>_capture``); ``.to_pandas()`` makes a frame.

        Args:
            at: as it was then: a time, a ledger position, an engine's version, or a model's snapshot; None = now.
            columns: only these. where: a condition in DuckDB's SQL. limit: rows at most.
            provenance: also the columns that say where each row came from (``_batch_id``, ``_source`` …).

        Raises:
            NotFoundError: no such table or column, nothing was loaded yet, or no such moment is kept.
            DataError: the condition is no SQL, or the warehouse keeps no versions.
        """
        connection, stored = self._stored(name)
        chosen = ", ".join(map(identifier, columns)) if columns is not None else "*"
        condition = f" WHERE {where}" if where else ""
        end = "" if limit is None else f" LIMIT {int(limit)}"
        found = self.query(f"SELECT {chosen} FROM {identifier(stored)}{condition}{end}", at=at, connection=connection)  # noqa: S608
        hidden = [] if provenance or columns is not None else [n for n in PROVENANCE if n in found.column_names]
        return found.drop_columns(hidden)

    def sample(
        self, name: str, rows: int, *, by: str | None = None, seed: int = 0, at: Moment | None = None
    ) -> pa.Table:
        """Rows of a table drawn at random in the warehouse: the same ones for the same seed.

        Args:
            rows: how many at most. by: a column each of whose values keeps its share. at: as `table` takes it.

        Raises:
            NotFoundError, DataError: as `table`.
            SpecError: no rows are asked for, or the table has no column `by`.
        """
        connection, stored = self._stored(name)
        there = self.query(f"SELECT * FROM {identifier(stored)} WHERE 1 = 0", at=at, connection=connection).column_names  # noqa: S608
        columns = [column for column in there if column not in PROVENANCE]
        table = next((t for t in self.spec.all(TableSpec) if t.name == name), None)
        key = (table.unique_key if table is not None else ()) or columns
        how = Random(rows, seed) if by is None else Stratified(by, rows, seed)
        return self.query(sample_sql(stored, how, columns=columns, key=key), at=at, connection=connection)

    def query(self, sql: str, *, at: Moment | None = None, connection: str = "warehouse") -> pa.Table:
        """Rows of one read-only statement in DuckDB's dialect, whatever the warehouse is; `at` as `table` takes it.

        Raises:
            NotFoundError, DataError: as `table`; a statement that writes is refused.
            TimedOutError: after ten minutes.
        """
        warehouse = self._stations.warehouse(connection)
        return warehouse.query(sql, at=version_at(warehouse, at), timeout_s=TIMEOUT_S)

    def features(self, name: str, channel: str = "train", *, run: str = "") -> pa.Table:
        """Rows of a feature set as they were last unloaded: what the newest model learned from, if it passed its gate.

        Args:
            channel: ``train``, ``validation`` or ``test``. run: as the Dagster run of that id unloaded them.

        Raises:
            NotFoundError: it was never unloaded, or its objects are gone.
        """
        snapshot = self.snapshot(name, run=run)
        if channel not in snapshot.channels:
            raise DataError(
                f"There is no channel '{channel}'; there are: {', '.join(snapshot.channels)}.",
                next_step="Choose one of these.",
            )
        return self._stations.features(name).read(snapshot, channel)

    def snapshot(self, name: str, *, run: str = "") -> FeatureSnapshot:
        """What is known of a feature set's newest unload (or that of a run): rows by channel, split, `ref`."""
        return self._stations.features(name).latest(run_id=run)

    def model(self, name: str, *, version: int | None = None, alias: str | None = None) -> ModelView:
        """A registered version: by number, by alias, or the one that serves (else the newest).

        Raises:
            NotFoundError: no such model, version or alias, with those there are.
        """
        registry = self._stations.registry(name)
        versions = registry.versions()
        if version is None and alias is None:
            chosen = registry.champion() or (versions[-1] if versions else None)
        else:
            chosen = next(
                (v for v in versions if version in (None, v.version) and (alias is None or alias in v.aliases)), None
            )
        if chosen is None:
            there = ", ".join(f"{v.version}{''.join(f' ({a})' for a in v.aliases)}" for v in versions)
            wanted = (
                f"version {version}" if version is not None else f"version called '{alias}'" if alias else "version"
            )
            raise NotFoundError(
                f"Model '{self.spec.name}.{name}' has no {wanted}; it has: {there or 'none'}.",
                next_step="Choose one of these.",
            )
        return ModelView(self._platform, chosen)

    def models(self, name: str) -> pd.DataFrame:
        """Every version of a model: its aliases, digest, time and metrics, oldest first."""
        rows = [
            {"version": v.version, "aliases": ", ".join(v.aliases), "digest": v.digest, "registered_at": v.created_at}
            # The job prints those on held-out rows as test_r2 too.
            | {n: value for n, value in v.metrics.items() if n.removeprefix("test_") == n or n[5:] not in v.metrics}
            for v in self._stations.registry(name).versions()
        ]
        return _frame(rows)

    def evaluations(self, monitor: str) -> pd.DataFrame:
        """Every window a monitor judged: window, rows, version, whether it passed, quality, drifted features."""
        return _frame([e.summary() for e in self._stations.evaluations(monitor)])

    def drift(self, monitor: str) -> pd.DataFrame:
        """Every feature of every window a monitor judged: all statistics, the threshold, whether it passed."""
        judged = self._stations.evaluations(monitor)
        return _frame([{"window": f"{e.window.first} … {e.window.upto}", **d} for e in judged for d in e.drift])

    def receipts(self, table: str) -> pd.DataFrame:
        """Every load of a table, oldest first: arrived = loaded + quarantined + duplicates + filtered."""
        return _frame([r.__dict__ for r in self._stations.receipts(table, limit=None)])

    def lineage(self, inference_id: str) -> LineageRecord:
        """Where a prediction came from: generation, version, run, the exact training rows, code commit.

        Raises:
            DataError: it is no inference id.
            NotFoundError: no such endpoint, generation or version of this system.
        """
        return self._stations.lineage().trace(inference_id)

    def _stored(self, name: str) -> tuple[str, str]:
        """Connection and name in the warehouse."""
        captures = {f"{e.name}_capture" for e in self.spec.all(EndpointSpec)}
        if name in captures:
            return "warehouse", name
        table = self.spec.get(TableSpec, name)
        return table.connection, table.schema_().name


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)

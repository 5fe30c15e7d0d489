"""Features: the rows a model learns from, cut to window and split in the warehouse, unloaded at one snapshot.

Where jobs pull them themselves, a build writes down which: a query each channel, the snapshot to read it at, and how many.

unload/<system>/<feature set>/<build>/<channel>/…   the parts, or `query.json`
unload/<system>/<feature set>/<build>/manifest.json the parts by channel; written behind them
unload/<system>/<feature set>/latest.json           the newest snapshot; runs/<run id>.json that of a run
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlplatform.core.features.pull import FILE, Pull
from mlplatform.core.features.unload_sql import (
    Sample,
    Window,
    ahead_query,
    count_query,
    no_rows_query,
    unload_queries,
    window_first_query,
    without_target_query,
)
from mlplatform.core.loads.snapshot import Part, SnapshotRef, snapshot_id
from mlplatform.core.tables.schema import latest_time
from mlplatform.core.training.split import CHANNELS, ChannelName, HashSplit, Split, TimeSplit, split_to_json
from mlplatform.errors import DataError, NotFoundError, SpecError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.feature_snapshot import FeatureSnapshot, read_channel, read_snapshot
from mlplatform.stations.pulled_rows import standing

if TYPE_CHECKING:
    import pyarrow as pa

PARAMETERS = ("as_of", "window_last")


@dataclass(frozen=True)
class _Found:
    """The rows of a build: id of their content, the state of the tables, how many by channel, and where they are."""

    id: str
    engine_version: str | None
    ledger_position: int
    positions: Mapping[str, int]
    rows: dict[ChannelName, int]
    parts: Mapping[ChannelName, tuple[Part, ...]] = field(default_factory=dict)
    pulls: Mapping[ChannelName, Pull] = field(default_factory=dict)


class Features:
    """Builds snapshots of one feature set."""

    def __init__(
        self,
        warehouse: Warehouse,
        store: ObjectStore,
        feature_set: FeatureSetSpec,
        table: TableSpec,
        *,
        system: str,
        query_sql: str,
    ) -> None:
        self._warehouse = warehouse
        self._store = store
        self._spec = feature_set
        self._table = table
        self._system = system
        self._query = query_sql
        self._prefix = f"unload/{system}/{feature_set.name}"

    def build(self, now: datetime, parameters: Mapping[str, Any] | None = None, *, run_id: str = "") -> FeatureSnapshot:
        """Unload train, validation and test rows at one snapshot, or write down where they are to be had.

        Args:
            parameters: ``as_of``: only rows whose window column is at most that; ``window_last``: another window.

        Raises:
            DataError: the query lacks a column, or there are too few rows in a channel.
            SpecError: an unknown parameter, or one that needs a window.
            NotFoundError: the query names a table or column that is not there.
        """
        given = dict(parameters or {})
        window = self._window(given, now)
        self._check_columns()
        split = split_of(self._spec)
        staged = self._spec.channel == "files"
        queries = self._queries(window, split, self._order() if staged else [])
        build = f"{now:%Y%m%dT%H%M%S%f}-{hashlib.sha256(json.dumps([given, queries]).encode()).hexdigest()[:8]}"
        prefixes = {channel: f"{self._prefix}/{build}/{channel}/" for channel in CHANNELS}
        found = self._unload(queries, prefixes) if staged else self._point(queries, prefixes)
        self._check_rows(found.rows)
        ref = SnapshotRef(
            id=found.id,
            manifest=f"{self._prefix}/{build}/manifest.json",
            ledger_position=found.ledger_position,
            engine_version=found.engine_version,
            rows=sum(found.rows.values()),
        )
        snapshot = FeatureSnapshot(
            system=self._system,
            features=self._spec.name,
            ref=ref,
            channels={str(channel): prefix for channel, prefix in prefixes.items()},
            rows={str(channel): count for channel, count in found.rows.items()},
            without_target=self._without_target(window, found.engine_version),
            split=split_to_json(split),
            window_column=self._spec.window.column if self._spec.window else None,
            parameters=given,
            run_id=run_id,
            built_at=now.isoformat(),
        )
        manifest = {
            "id": ref.id,
            "engine_version": ref.engine_version,
            "built_at": now.isoformat(),
            "positions": dict(found.positions),
            "window_first": self._window_first(window, found.engine_version),
            "queries": queries,
            "channels": {channel: [asdict(part) for part in found.parts.get(channel, ())] for channel in CHANNELS},
            **({} if staged else {"pulls": {channel: pull.to_json() for channel, pull in found.pulls.items()}}),
        }
        self._store.put(ref.manifest, json.dumps(manifest, indent=1).encode())
        text = json.dumps(snapshot.to_json()).encode()
        if run_id:
            self._store.put(f"{self._prefix}/runs/{run_id}.json", text)
        self._store.put(f"{self._prefix}/latest.json", text)
        return snapshot

    def _queries(self, window: Window | None, split: Split, order: Sequence[str]) -> dict[ChannelName, str]:
        queries = unload_queries(self._query, target=self._spec.target, split=split, window=window, order=order)
        sample = self._spec.sample
        if sample is None:
            return queries
        share = sample.share
        if share is None:
            there = sum(self._count(queries[channel]) for channel in CHANNELS if channel != "test")
            share = min(1.0, (sample.rows or 0) / max(there, 1))
        return unload_queries(
            self._query,
            target=self._spec.target,
            split=split,
            window=window,
            order=order,
            sample=Sample(tuple(self._spec.split.key), share, sample.seed),
        )

    def _unload(self, queries: Mapping[ChannelName, str], prefixes: Mapping[ChannelName, str]) -> _Found:
        done = self._warehouse.unload({prefixes[channel]: sql for channel, sql in queries.items()}, self._store)
        parts = {channel: done[prefix].parts for channel, prefix in prefixes.items()}
        first = done[prefixes["train"]]
        every = [part for channel in CHANNELS for part in parts[channel]]
        return _Found(
            snapshot_id("\n".join(queries.values()), every, first.ledger_position),
            first.engine_version,
            first.ledger_position,
            first.positions,
            {channel: sum(part.rows for part in parts[channel]) for channel in CHANNELS},
            parts=parts,
        )

    def _point(self, queries: Mapping[ChannelName, str], prefixes: Mapping[ChannelName, str]) -> _Found:
        """Nothing is moved: what is written down is where the rows are, at one state of the tables."""
        stands = standing(self._warehouse, self._query)
        version = stands.version
        rows = {channel: self._count(sql, version) for channel, sql in queries.items()}
        key, order = tuple(self._spec.split.key), tuple(self._order())
        pulls = {c: Pull(sql, key, order, rows[c], version, stands.loads) for c, sql in queries.items()}
        for channel, pull in pulls.items():
            self._store.put(f"{prefixes[channel]}{FILE}", json.dumps(pull.to_json(), indent=1).encode())
        content = json.dumps([pull.to_json() for pull in pulls.values()], sort_keys=True)
        return _Found(
            hashlib.sha256(content.encode()).hexdigest(), version, stands.loads, stands.positions, rows, pulls=pulls
        )

    def _count(self, sql: str, version: str | None = None) -> int:
        return int(self._warehouse.query(count_query(sql), at=version).column("n")[0].as_py())

    def latest(self, *, run_id: str = "") -> FeatureSnapshot:
        """The snapshot that run `run_id` built, else the newest. Raises NotFoundError before the first."""
        found = read_snapshot(self._store, f"{self._prefix}/runs/{run_id}.json") if run_id else None
        found = found or read_snapshot(self._store, f"{self._prefix}/latest.json")
        if found is None:
            raise NotFoundError(
                f"Feature set '{self._spec.name}' of system '{self._system}' was never built.",
                next_step=f"Materialize {self._system}/{self._spec.name}.",
            )
        return found

    def read(self, snapshot: FeatureSnapshot, channel: str = "train", columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of one channel, or some `columns` of them."""
        return read_channel(self._store, snapshot, channel, lambda: self._warehouse, columns)

    def _window(self, given: Mapping[str, Any], now: datetime) -> Window | None:
        unknown = sorted(set(given) - set(PARAMETERS))
        if unknown:
            raise SpecError(
                f"There is no parameter '{unknown[0]}'; there are: {', '.join(PARAMETERS)}.",
                next_step="Correct the run's config.",
            )
        window = self._spec.window
        if window is None:
            if given:
                raise SpecError(
                    f"'{next(iter(given))}' needs a window, and feature set '{self._spec.name}' has none.",
                    next_step="Give the feature set a window in its YAML, or leave the parameter out.",
                )
            return None
        types = {c.name: c.type for c in self._table.columns}
        kind = types.get(window.column, "varchar")
        as_of = given.get("as_of") or self._end_of_time(window.column, kind, now)
        last = int(given.get("window_last") or window.last)
        return Window(window.column, last, None if as_of is None else str(as_of), kind)

    def _end_of_time(self, column: str, kind: str, now: datetime) -> str | None:
        """Where the window must end though rows lie behind, since they lie in the future; None where none does."""
        if self._table.future_s is None or kind not in ("date", "timestamp"):
            return None
        latest = latest_time(now, self._table.future_s)
        ahead = self._warehouse.query(ahead_query(self._query, column, latest, kind)).column("ahead")[0].as_py()
        return latest if ahead else None

    def _check_columns(self) -> None:
        there = self._warehouse.query(no_rows_query(self._query)).column_names
        spec = self._spec
        wanted = [spec.target, *(f.name for f in spec.features), *spec.split.key]
        for name in [*wanted, *([spec.window.column] if spec.window else [])]:
            if name not in there:
                raise DataError(
                    f"'{spec.query}' selects no column '{name}'; it selects: {', '.join(there)}.",
                    next_step=f"Select it, or take it out of feature set '{spec.name}'.",
                )

    def _order(self) -> list[str]:
        spec = self._spec
        names = [*([spec.window.column] if spec.window else []), *spec.split.key]
        return list(dict.fromkeys([*names, *(f.name for f in spec.features), spec.target]))

    def _check_rows(self, rows: Mapping[Any, int]) -> None:
        spec = self._spec
        if rows["train"] < spec.minimum_rows:
            raise DataError(
                f"Feature set '{spec.name}' has {rows['train']} training rows; expected at least {spec.minimum_rows}.",
                next_step=f"Load more rows into '{spec.table}', widen the window, or lower minimum_rows.",
            )
        for channel in ("validation", "test"):
            if not rows[channel]:
                raise DataError(
                    f"Feature set '{spec.name}' has no {channel} rows beside {rows['train']} training rows.",
                    next_step="Widen the window, or raise the split's share.",
                )

    def _window_first(self, window: Window | None, version: str | None) -> str | None:
        """The smallest value of the window, as text; None without a window."""
        if window is None:
            return None
        at = version if self._warehouse.capabilities.snapshots else None
        found = self._warehouse.query(window_first_query(self._query, window), at=at).column("first")[0].as_py()
        return None if found is None else str(found)

    def _without_target(self, window: Window | None, version: str | None) -> int:
        sql = without_target_query(self._query, target=self._spec.target, window=window)
        at = version if self._warehouse.capabilities.snapshots else None
        return int(self._warehouse.query(sql, at=at).column("n")[0].as_py())


def split_of(features: FeatureSetSpec) -> Split:
    """The split's rule as `core` takes it."""
    split = features.split
    if split.by == "hash":
        return HashSplit(tuple(split.key), split.holdout, split.validation, split.salt)
    if features.window is None:
        raise SpecError(
            f"Feature set '{features.name}': a split by time needs a window.",
            next_step="Give the feature set a window, or split by hash.",
        )
    return TimeSplit(features.window.column, split.holdout, split.validation)

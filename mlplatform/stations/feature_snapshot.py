"""FeatureSnapshot: what one build of a feature set unloaded, as later stations read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mlplatform.core.features.pull import Pull
from mlplatform.core.loads.snapshot import SnapshotRef
from mlplatform.errors import NotFoundError, StateError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.stations.pulled_rows import pull_all
from mlplatform.stations.snapshot_parts import read_manifest, read_part, read_parts

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class FeatureSnapshot:
    """One build.

    Attributes:
        ref: content id, and the manifest that lists the parts by channel.
        channels: channel → prefix of its parts (Parquet), or of the query that gives its rows. rows: channel → rows.
        without_target: rows of the window left out because their target is NULL.
        split: the rule, as `core.training.split` writes it. window_column: what the window is over.
        parameters: the run parameters it was built with.
    """

    system: str
    features: str
    ref: SnapshotRef
    channels: dict[str, str]
    rows: dict[str, int]
    without_target: int
    split: dict[str, Any]
    window_column: str | None
    parameters: dict[str, Any]
    run_id: str
    built_at: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> FeatureSnapshot:
        """Read one back. Raises StateError where it is damaged."""
        try:
            return cls(**{**data, "ref": SnapshotRef.from_json(data["ref"])})
        except (KeyError, TypeError) as error:
            raise StateError(f"no feature snapshot: {error!r}.") from error

    def summary(self) -> dict[str, Any]:
        """For people: rows by channel, what was left out, where it lies."""
        return {
            "snapshot": self.ref.id,
            "rows": self.ref.rows,
            **{f"{channel}_rows": count for channel, count in self.rows.items()},
            "rows_without_target": self.without_target,
            "ledger_position": self.ref.ledger_position,
            "engine_version": self.ref.engine_version or "",
            "manifest": self.ref.manifest,
            **{f"parameter_{name}": value for name, value in self.parameters.items()},
        }


WarehouseOf = Callable[[], Warehouse]
"""The warehouse that a feature set's table lies in, opened when rows are pulled out of it."""


def read_channel(
    store: ObjectStore,
    snapshot: FeatureSnapshot,
    channel: str,
    warehouse: WarehouseOf | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """All rows of one channel, or some `columns` of them. Raises NotFoundError where its objects, or rows of the warehouse, are gone; StateError where one was
    changed."""
    import pyarrow as pa

    tables = read_tables(store, snapshot.ref.to_json(), [channel], columns, warehouse=warehouse)
    if not tables:
        raise NotFoundError(
            f"Snapshot '{snapshot.ref.id[:12]}…' has no channel '{channel}'.",
            next_step="Ask for train, validation or test.",
        )
    return pa.concat_tables(tables)


def read_tables(
    store: ObjectStore,
    ref: dict[str, Any],
    channels: list[str],
    columns: Sequence[str] | None = None,
    *,
    warehouse: WarehouseOf | None = None,
) -> list[pa.Table]:
    """The parts of some channels, only `columns` of them; pulled out of the `warehouse` where nothing was unloaded.

    Raises:
        NotFoundError: an object, or a row of the warehouse, is gone.
        StateError: an object was changed.
    """
    import io

    import pyarrow.parquet as pq

    pulls = read_manifest(store, ref).get("pulls", {})
    if pulls and warehouse is not None:
        return [pull_all(warehouse(), Pull.from_json(pulls[name]), columns) for name in channels if name in pulls]
    tables = []
    for channel, part in read_parts(store, ref):
        if channel in channels:
            tables.append(
                pq.read_table(
                    io.BytesIO(read_part(store, ref, part)), columns=None if columns is None else list(columns)
                )
            )
    return tables


def read_snapshot(store: ObjectStore, key: str) -> FeatureSnapshot | None:
    """The snapshot stored under `key`, or None."""
    if store.head(key) is None:
        return None
    with store.open(key) as stream:
        return FeatureSnapshot.from_json(json.loads(stream.read()))

"""What came for a table and is not in it yet: records on its streams, delivered or not, and objects under its prefixes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from mlplatform.errors import StateError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.stream import Stream
from mlplatform.ports.warehouse import Warehouse
from mlplatform.stations.ingest import Ingest


class Backlog:
    """Of the table that `ingest` loads from `store`; `streams` are those it names, by name."""

    def __init__(self, warehouse: Warehouse, store: ObjectStore, ingest: Ingest, streams: Mapping[str, Stream]) -> None:
        self._warehouse = warehouse
        self._store = store
        self._ingest = ingest
        self._streams = streams

    def sources(self, by: datetime) -> set[str]:
        """Sources of which something that came by `by` is not in the table: shards as ``stream/<stream>/<shard>``, prefixes as
        plans name them. What comes later keeps none of them here, however busy it is."""
        found = set()
        # A gap holds up its own shard, which is then behind its stream.
        with suppress(StateError):
            found = {plan.shard for plan in self._ingest.plan() if not plan.stream and self._lay_there(plan.key, by)}
        rows = self._warehouse.query(
            "SELECT shard, last FROM _guards WHERE table_name = ?", [self._ingest.spec.schema_().name]
        ).to_pylist()
        loaded = {row["shard"]: row["last"] for row in rows}
        for name, stream in self._streams.items():
            for state in stream.shards():
                source = f"stream/{name}/{state.shard}"
                last = loaded.get(source, "")
                if last < state.newest and _was_there(stream, state.shard, last, by):
                    found.add(source)
        return found

    def _lay_there(self, key: str, by: datetime) -> bool:
        info = self._store.head(key)
        return info is not None and info.modified <= by


def _was_there(stream: Stream, shard: str, last: str, by: datetime) -> bool:
    try:
        return any(record.arrived_at <= by for record in stream.read(shard, after=last, limit=1))
    except StateError:
        # Retention took some before they were loaded; what it left waits until delivery has said so and gone on.
        return True

"""What came for a table and is not in it yet: records on its streams, delivered or not, and objects under its prefixes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from mlplatform.errors import StateError
from mlplatform.ports.stream import Stream
from mlplatform.ports.warehouse import Warehouse
from mlplatform.stations.ingest import Ingest


class Backlog:
    """Of the table that `ingest` loads; `streams` are those it names, by name."""

    def __init__(self, warehouse: Warehouse, ingest: Ingest, streams: Mapping[str, Stream]) -> None:
        self._warehouse = warehouse
        self._ingest = ingest
        self._streams = streams

    def sources(self) -> set[str]:
        """Sources that have something the table has not: shards as ``stream/<stream>/<shard>``, prefixes as plans name them."""
        found = set()
        # A gap holds up its own shard, which is then behind its stream.
        with suppress(StateError):
            found = {plan.shard for plan in self._ingest.plan() if not plan.stream}
        rows = self._warehouse.query(
            "SELECT shard, last FROM _guards WHERE table_name = ?", [self._ingest.spec.schema_().name]
        ).to_pylist()
        loaded = {row["shard"]: row["last"] for row in rows}
        for name, stream in self._streams.items():
            for state in stream.shards():
                source = f"stream/{name}/{state.shard}"
                if loaded.get(source, "") < state.newest:
                    found.add(source)
        return found

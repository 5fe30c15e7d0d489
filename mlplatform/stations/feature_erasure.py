"""Erasure of a data subject from the rows of feature sets, pinned ones too; the manifest says that rows went.

The id of a snapshot stays that of the rows a model was trained on. What can be read back afterwards is those rows
without the subject's, and lineage says so.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from mlplatform.core.loads.subject import Subject
from mlplatform.ports.object_store import ObjectStore

NOT_TOLD_APART = "its rows have no column '{column}', so that none can be told to be the subject's"


class FeatureErasure:
    """Builds of one feature set."""

    def __init__(self, store: ObjectStore, features: str, *, system: str) -> None:
        self._store = store
        self._prefix = f"unload/{system}/{features}/"

    def rows(self, subject: Subject) -> tuple[int, int]:
        """Rows of the subject in all builds; and how many builds lack the column."""
        found, without = 0, 0
        for _, manifest in self._manifests():
            counts = [self._in_part(part["key"], subject) for part in _parts(manifest)]
            known = [count for count in counts if count is not None]
            found += sum(known)
            without += bool(counts) and not known
        return found, without

    def erase(self, subject: Subject, *, name: str, now: datetime) -> int:
        """Write the parts anew without the subject's rows; how many went. Their manifests are brought in step."""
        gone = 0
        for key, manifest in self._manifests():
            taken, changed = 0, False
            for part in _parts(manifest):
                removed, stale = self._rewrite(part, subject)
                taken += removed
                changed = changed or bool(removed) or stale
            if changed:
                note = {"erasure": name, "at": now.isoformat(), "rows": taken}
                self._store.put(
                    key, json.dumps({**manifest, "erased": [*manifest.get("erased", []), note]}, indent=1).encode()
                )
            gone += taken
        return gone

    def _rewrite(self, part: dict[str, Any], subject: Subject) -> tuple[int, bool]:
        """Rows removed from a part, whose entry is updated; and whether the entry was of other bytes than were there."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        if self._store.head(part["key"]) is None:
            return 0, False
        with self._store.open(part["key"]) as stream:
            data = stream.read()
        # A kill between a part and its manifest leaves the entry behind.
        stale = hashlib.sha256(data).hexdigest() != part["sha256"]
        table = pq.read_table(io.BytesIO(data))
        if subject.column not in table.column_names:
            return 0, False
        kept: Any = pc.not_equal(table.column(subject.column).cast(pa.string()), pa.scalar(subject.value))
        left = table.filter(kept.fill_null(True))
        removed = table.num_rows - left.num_rows
        if removed:
            sink = io.BytesIO()
            pq.write_table(left, sink)
            data = sink.getvalue()
            self._store.put(part["key"], data)
        if removed or stale:
            part.update(rows=left.num_rows, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        return removed, stale

    def _in_part(self, key: str, subject: Subject) -> int | None:
        import pyarrow.parquet as pq

        if self._store.head(key) is None:
            return None
        with self._store.open(key) as stream:
            file = pq.ParquetFile(io.BytesIO(stream.read()))
        if subject.column not in file.schema_arrow.names:
            return None
        return sum(subject.is_of(row) for row in file.read(columns=[subject.column]).to_pylist())

    def _manifests(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for info in list(self._store.list(self._prefix)):
            if info.key.endswith("/manifest.json"):
                with self._store.open(info.key) as stream:
                    yield info.key, json.loads(stream.read())


def _parts(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for parts in manifest["channels"].values() for part in parts]

"""Erasure of a data subject from the rows of feature sets, pinned ones too; the manifest says that rows went.

The id of a snapshot stays that of the rows a model was trained on. What can be read back afterwards is those rows
without the subject's, and lineage says so.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlplatform.core.loads.subject import Subject
from mlplatform.ports.object_store import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

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
        left = table.filter(pa.array([not theirs for theirs in _theirs(table.column(subject.column), subject)]))
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
        return sum(_theirs(file.read(columns=[subject.column]).column(0), subject))

    def _manifests(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for info in list(self._store.list(self._prefix)):
            if info.key.endswith("/manifest.json"):
                with self._store.open(info.key) as stream:
                    yield info.key, json.loads(stream.read())


def _parts(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for parts in manifest["channels"].values() for part in parts]


def _theirs(column: pa.ChunkedArray[Any], subject: Subject) -> list[bool]:
    """Which values are the subject's: as the table's column declares them, or as what the query made of them."""
    import pyarrow as pa

    if pa.types.is_integer(column.type):
        kinds = {"bigint"}
    else:
        kinds = {"double"} if pa.types.is_floating(column.type) else set()
    compared = replace(subject, types=subject.types | kinds)
    return [compared.is_value(value) for value in column.to_pylist()]

"""Erasure of a data subject from a table: its rows, its quarantine, and the objects they came from.

Everything is looked for anew each time, so that an erasure that was killed is simply asked for once more.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from mlplatform.core.loads.erasure import Condition, Erased, Erasure
from mlplatform.core.loads.landing import parse_landing_key
from mlplatform.core.loads.plan import CsvFormat, Format, JsonLinesFormat, ParquetFormat, QuarantinedRecord
from mlplatform.core.loads.replays import original_name, replays_folder
from mlplatform.core.loads.subject import Subject
from mlplatform.core.sql import identifier
from mlplatform.ports.object_store import ObjectInfo, ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.quarantine import Quarantine

UNLOADED = "not loaded yet: run the erasure again once it is"


@dataclass(frozen=True)
class Place:
    """One place that holds something of the subject.

    Attributes:
        what: the place. count: how many `unit` of it are the subject's.
        kept: why it stays; empty where it goes.
    """

    what: str
    count: int
    unit: str
    kept: str = ""


class TableErasure:
    """What a table, its quarantine and its sources hold of a subject; `capture`: rows whose fields are nested."""

    def __init__(
        self,
        warehouse: Warehouse,
        store: ObjectStore,
        table: TableSpec,
        *,
        system: str,
        streams: Mapping[str, StreamSpec],
        capture: bool = False,
    ) -> None:
        self._warehouse = warehouse
        self._store = store
        self._spec = table
        self._name = table.schema_().name
        self._streams = streams
        self._capture = capture
        self._quarantine = Quarantine(warehouse, store, table, system=system, streams=streams)
        self._replays = replays_folder(system, table.name)

    def places(self, subject: Subject) -> list[Place]:
        """Where something of the subject stands."""
        loaded, waiting = self._objects(subject)
        found = [
            Place(f"table {self._name}", self._rows(subject), "rows"),
            Place(f"quarantine of {self._name}", len(self._records(subject)), "records"),
            Place(f"landing objects of {self._name}", len(loaded), "objects"),
            Place(f"landing objects of {self._name}", len(waiting), "objects", UNLOADED),
        ]
        return [place for place in found if place.count]

    def erase(self, subject: Subject, *, name: str, reason: str, now: datetime) -> Erased:
        """Take all of it out; objects that were not loaded yet stay."""
        for info in self._objects(subject)[0]:
            if self._landing(info.key):
                with self._store.open(info.key) as stream:
                    left = subject.taken_out(stream.read())
                self._store.put(info.key, left)
            else:
                self._store.delete(info.key)
        records = tuple(record.quarantine_id for record in self._records(subject))
        gone = Erased(0, 0)
        for conditions in self._conditions(subject):
            erasure = Erasure(name, self._name, conditions, reason, now, records=records, from_snapshots=True)
            done = self._warehouse.erase(erasure)
            gone, records = Erased(gone.rows + done.rows, gone.records + done.records), ()
        return gone

    def _conditions(self, subject: Subject) -> Iterator[tuple[Condition, ...]]:
        """One erasure each; at least one, for the records and the snapshots."""
        if not self._capture:
            yield (Condition(subject.column, "equal", subject.value),)
            return
        keys = self._captured(subject) or [("", "")]
        for inference, number in keys:
            yield (Condition("inference_id", "equal", inference), Condition("row_number", "equal", number))

    def _rows(self, subject: Subject) -> int:
        if self._capture:
            return len(self._captured(subject))
        sql = f"SELECT count(*) AS n FROM {identifier(self._name)} WHERE CAST({identifier(subject.column)} AS VARCHAR) = ?"  # noqa: S608
        return int(self._warehouse.query(sql, [subject.value]).to_pylist()[0]["n"])

    def _captured(self, subject: Subject) -> list[tuple[str, str]]:
        """(inference id, row number) of captured rows that are the subject's."""
        import json

        sql = f"SELECT inference_id, row_number, features, keys FROM {identifier(self._name)}"  # noqa: S608
        # The text only narrows the search; JSON may write a value in several ways, so that some must be read whole.
        text = subject.value if subject.value.isascii() and subject.value.isalnum() else ""
        texts = [text, *sorted(subject.masks)] if text else [""]
        like = " OR ".join(["CAST(features AS VARCHAR) LIKE ? OR CAST(keys AS VARCHAR) LIKE ?"] * len(texts))
        rows = self._warehouse.query(f"{sql} WHERE {like}", [f"%{t}%" for t in texts for _ in range(2)]).to_pylist()
        read = [{**row, "features": json.loads(row["features"]), "keys": json.loads(row["keys"])} for row in rows]
        return [(row["inference_id"], str(row["row_number"])) for row in read if subject.is_of(row)]

    def _records(self, subject: Subject) -> list[QuarantinedRecord]:
        found = self._quarantine.list(limit=10**9, replayed=True)
        return [record for record in found if self._is_of(record, subject)]

    def _is_of(self, record: QuarantinedRecord, subject: Subject) -> bool:
        source = self._format(record.source)
        return subject.in_record(record.raw, source if isinstance(source, CsvFormat) else None, record.columns)

    def _objects(self, subject: Subject) -> tuple[list[ObjectInfo], list[ObjectInfo]]:
        """Objects that hold something of the subject: those that may go, and those that were not loaded yet."""
        ledger = self._warehouse.query("SELECT key, etag FROM _ledger WHERE table_name = ?", [self._name]).to_pylist()
        loaded = {(row["key"], row["etag"]) for row in ledger}
        found = [info for info in self._all_objects() if self._holds(info, subject)]
        ready = [info for info in found if self._landing(info.key) or (info.key, info.etag) in loaded]
        return ready, [info for info in found if info not in ready]

    def _all_objects(self) -> Iterator[ObjectInfo]:
        delivered = [self._streams[s.stream].delivery.prefix for s in self._spec.sources if s.stream]
        own = [s.prefix for s in self._spec.sources if s.prefix is not None]
        seen: set[str] = set()
        for prefix in [*delivered, *own, self._replays]:
            for info in self._store.list(prefix):
                if info.key not in seen and self._format(info.key) is not None:
                    seen.add(info.key)
                    yield info

    def _landing(self, key: str) -> bool:
        return any(
            parse_landing_key(self._streams[s.stream].delivery.prefix, key) is not None
            for s in self._spec.sources
            if s.stream
        )

    def _format(self, key: str) -> Format | None:
        """How the object is read, or None where no source takes it."""
        inner = original_name(key)
        if self._landing(inner) or (inner != key and inner.endswith(".jsonl")):
            return JsonLinesFormat()
        for source in self._spec.sources:
            endings = (source.suffix, f"{source.suffix}.gz")
            if source.prefix is not None and inner.startswith(source.prefix) and inner.endswith(endings):
                return source.format.format()
        return None

    def _holds(self, info: ObjectInfo, subject: Subject) -> bool:
        with self._store.open(info.key) as stream:
            data = stream.read()
        if info.key.endswith(".gz"):
            try:
                data = gzip.decompress(data)
            except (OSError, EOFError):
                return False
        form = self._format(info.key)
        if isinstance(form, ParquetFormat):
            return _in_parquet(data, subject)
        if isinstance(form, JsonLinesFormat):
            return subject.in_json_lines(data) > 0
        columns = [column.name for column in self._spec.columns]
        return isinstance(form, CsvFormat) and subject.in_csv(data.decode(errors="replace"), form, columns) > 0


def _in_parquet(data: bytes, subject: Subject) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(data))
    except pa.ArrowInvalid:
        return False
    if subject.column not in file.schema_arrow.names:
        return False
    return any(subject.is_of(row) for row in file.read(columns=[subject.column]).to_pylist())

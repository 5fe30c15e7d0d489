"""Erasure of a data subject from a table: its rows, its quarantine, and the objects they came from.

Everything is looked for anew each time, so that an erasure that was killed is simply asked for once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from mlplatform.core.loads.erasure import Condition, Erased, Erasure
from mlplatform.core.loads.held import held
from mlplatform.core.loads.plan import CsvFormat, QuarantinedRecord
from mlplatform.core.loads.subject import Subject
from mlplatform.core.sql import identifier
from mlplatform.errors import NotFoundError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.held_objects import UNSEARCHED, HeldObjects, Stay, format_of, held_objects
from mlplatform.stations.quarantine import Quarantine

BEGINNING = Stay("the beginning of an object that stays", "goes with the object")


@dataclass(frozen=True)
class Place:
    """One place that holds something of the subject.

    Attributes:
        what: the place. count: how many `unit` of it are the subject's.
        kept: why it stays; empty where it goes.
        next_step: what takes away what stays; the erasure is not complete before.
        names: the objects that stay.
    """

    what: str
    count: int
    unit: str
    kept: str = ""
    next_step: str = ""
    names: tuple[str, ...] = ()


class TableErasure:
    """What a table, its quarantine and its sources hold of a subject; `capture`: rows whose fields are nested.

    `others` are tables that may take an object which no source of this one takes.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        store: ObjectStore,
        table: TableSpec,
        *,
        system: str,
        streams: Mapping[str, StreamSpec],
        capture: bool = False,
        others: Sequence[TableSpec] = (),
    ) -> None:
        self._warehouse = warehouse
        self._store = store
        self._spec = table
        self._schema = table.schema_()
        self._name = self._schema.name
        self._system = system
        self._streams = streams
        self._capture = capture
        self._others = others
        self._quarantine = Quarantine(warehouse, store, table, system=system, streams=streams)

    def places(self, subject: Subject) -> list[Place]:
        """Where something of the subject stands."""
        subject = subject.of_table(self._schema)
        objects = self._objects(subject)
        records, staying = self._records(subject, objects)
        landing, quarantine = f"landing objects of {self._name}", f"quarantine of {self._name}"
        found = [
            Place(f"table {self._name}", self._rows(subject), "rows"),
            Place(quarantine, len(records), "records"),
            Place(landing, len(objects.landing) + len(objects.gone), "objects"),
        ]
        for stay, infos in objects.staying.items():
            names = tuple(info.key for info in infos)
            found.append(Place(landing, len(infos), "objects", stay.kept, stay.next_step, names))
        for stay, kept in staying.items():
            found.append(Place(quarantine, len(kept), "records", stay.kept, stay.next_step))
        return [place for place in found if place.count]

    def erase(self, subject: Subject, *, name: str, reason: str, now: datetime) -> Erased:
        """Take out all that may go; what stays is what `places` says."""
        subject = subject.of_table(self._schema)
        objects = self._objects(subject)
        records = tuple(record.quarantine_id for record in self._records(subject, objects)[0])
        for info in objects.landing:
            with suppress(NotFoundError), self._store.open(info.key) as stream:
                self._store.put(info.key, subject.taken_out(stream.read()))
        for info in objects.gone:
            there = self._store.head(info.key)
            if there is not None and there.etag == info.etag:
                self._store.delete(info.key)
        gone = Erased(0, 0)
        for conditions in self._conditions(subject):
            erasure = Erasure(name, self._name, conditions, reason, now, records=records, from_snapshots=True)
            done = self._warehouse.erase(erasure)
            gone, records = Erased(gone.rows + done.rows, gone.records + done.records), ()
        return gone

    def _objects(self, subject: Subject) -> HeldObjects:
        return held_objects(
            self._warehouse,
            self._store,
            self._spec,
            subject,
            system=self._system,
            streams=self._streams,
            others=self._others,
        )

    def _conditions(self, subject: Subject) -> Iterator[tuple[Condition, ...]]:
        """One erasure each; at least one, for the records and the snapshots."""
        if not self._capture:
            yield (_condition(subject),)
            return
        keys = self._captured(subject) or [("", "")]
        for inference, number in keys:
            yield (Condition("inference_id", "equal", inference), Condition("row_number", "equal", number))

    def _rows(self, subject: Subject) -> int:
        if self._capture:
            return len(self._captured(subject))
        condition = _condition(subject)
        sql = f"SELECT count(*) AS n FROM {identifier(self._name)} WHERE {condition.sql()}"  # noqa: S608
        return int(self._warehouse.query(sql, [condition.parameter()]).to_pylist()[0]["n"])

    def _captured(self, subject: Subject) -> list[tuple[str, str]]:
        """(inference id, row number) of captured rows that are the subject's."""
        sql = f"SELECT inference_id, row_number, features, keys FROM {identifier(self._name)}"  # noqa: S608
        # The texts only narrow the search; JSON may write some values in several ways, so that all must be read.
        texts = [*subject.texts, *sorted(subject.masks)] if subject.texts else [""]
        like = " OR ".join(["CAST(features AS VARCHAR) LIKE ? OR CAST(keys AS VARCHAR) LIKE ?"] * len(texts))
        rows = self._warehouse.query(f"{sql} WHERE {like}", [f"%{t}%" for t in texts for _ in range(2)]).to_pylist()
        read = [{**row, "features": json.loads(row["features"]), "keys": json.loads(row["keys"])} for row in rows]
        return [(row["inference_id"], str(row["row_number"])) for row in read if subject.is_of(row)]

    def _records(
        self, subject: Subject, objects: HeldObjects
    ) -> tuple[list[QuarantinedRecord], dict[Stay, list[QuarantinedRecord]]]:
        """Records that are the subject's and go; and those of objects quarantined whole that stay, by reason."""
        there = {info.key for infos in objects.staying.values() for info in infos}
        going: list[QuarantinedRecord] = []
        staying: dict[Stay, list[QuarantinedRecord]] = {}
        for record in self._quarantine.list(limit=10**9, replayed=True):
            if record.offset:
                source = format_of(record.source, self._spec, self._streams)
                csv = source if isinstance(source, CsvFormat) else None
                if subject.in_record(record.raw, csv, record.columns):
                    going.append(record)
                continue
            answer = held(record.raw, None, self._schema, subject)
            if answer == "yes" and not (record.replayed_at is None and record.source in there):
                going.append(record)
            elif answer == "yes":
                staying.setdefault(BEGINNING, []).append(record)
            elif answer == "unknown" and record.source not in there:
                staying.setdefault(UNSEARCHED, []).append(record)
        return going, staying


def _condition(subject: Subject) -> Condition:
    """Rows of a table whose column is the value: as the column's type, or as text where it is none of that type."""
    values = [value for value in subject.typed.values() if not isinstance(value, str)]
    return Condition(subject.column, "equal", values[0] if values else subject.value)

"""The erasure of a data subject from a system: where something of it stands, and its going.

What stays is said with its reason, and with the step that takes it away where there is one: objects that were not loaded
and may be the only place of others' rows. Without one stay records on a stream until their retention ends, tables that
others load, feature rows that carry no column to tell whose they are, backups, and models, which were trained on the rows.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from mlplatform.core.loads.subject import Subject
from mlplatform.errors import NotFoundError
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.erasure import Place, TableErasure
from mlplatform.stations.feature_erasure import NOT_TOLD_APART, FeatureErasure

if TYPE_CHECKING:
    from mlplatform.platform.system import SystemStations

COLLECTION = "erasures"
"""Items: what each erasure took, under ``<system>/<erasure>``; the value that was asked for is not kept, nor names of
objects, which may hold it."""


def places(stations: SystemStations, subject: Subject) -> list[Place]:
    """Where the system holds something of the subject, and what of it stays.

    Raises:
        NotFoundError: no table of the system has the column.
    """
    subject = _compared(stations, subject)
    found = [place for erasure in _tables(stations, subject) for place in erasure.places(subject)]
    for features in stations.spec.all(FeatureSetSpec):
        rows, without = FeatureErasure(stations.platform.store, features.name, system=stations.spec.name).rows(subject)
        found += [Place(f"feature set {features.name}", rows, "rows")] if rows else []
        if without:
            why = NOT_TOLD_APART.format(column=subject.column)
            found.append(Place(f"feature set {features.name}", without, "builds", why))
    return [*found, *_staying(stations, subject)]


def erase(stations: SystemStations, subject: Subject, *, reason: str, now: datetime) -> tuple[str, list[Place]]:
    """Take out all that can go; the erasure's id, and what went and what stays.

    What is due is loaded first, so that no other row is lost with an object. Safe while everything runs.
    """
    subject = _compared(stations, subject)
    for table in _own(stations, subject):
        stations.ingest(table.name).run()
    before = places(stations, subject)
    name = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    for erasure in _tables(stations, subject):
        erasure.erase(subject, name=name, reason=reason, now=now)
    for features in stations.spec.all(FeatureSetSpec):
        FeatureErasure(stations.platform.store, features.name, system=stations.spec.name).erase(
            subject, name=name, now=now
        )
    for connection in stations.connections():
        stations.maintenance(connection).run(now)
    record = {
        "at": now.isoformat(),
        "reason": reason,
        "column": subject.column,
        "places": [{"what": p.what, "count": p.count, "unit": p.unit, "kept": p.kept} for p in before],
        "complete": complete(before),
    }
    stations.platform.items.put(COLLECTION, f"{stations.spec.name}/{name}", record)
    return name, before


def complete(found: Iterable[Place]) -> bool:
    """Whether nothing of these stays that a step takes away."""
    return not any(place.next_step for place in found)


def _compared(stations: SystemStations, subject: Subject) -> Subject:
    """The subject as its column is declared, and as capture may have kept it; without a key nothing is masked there."""
    tables = stations.spec.all(TableSpec)
    types = frozenset(c.type for table in tables for c in table.columns if c.name == subject.column)
    masking = stations.masking()
    subject = replace(subject, types=types)
    return subject.masked(masking.hash) if masking.key else subject


def _own(stations: SystemStations, subject: Subject) -> list[TableSpec]:
    """Tables of the system that it loads itself and that have the column. Raises NotFoundError where none has it."""
    tables = stations.spec.all(TableSpec)
    having = [table for table in tables if any(c.name == subject.column for c in table.columns)]
    if not having:
        columns = sorted({c.name for table in tables for c in table.columns})
        raise NotFoundError(
            f"No table of system '{stations.spec.name}' has a column '{subject.column}'; they have: {', '.join(columns)}.",
            next_step="Name the column that says whom a row is about.",
        )
    return [table for table in having if not table.existing]


def _tables(stations: SystemStations, subject: Subject) -> Iterator[TableErasure]:
    streams = {s.name: s for s in stations.spec.all(StreamSpec)}
    store, system = stations.platform.store, stations.spec.name
    for table in _own(stations, subject):
        stations.ingest(table.name).create()
        others = [other for other in stations.spec.all(TableSpec) if other.name != table.name]
        warehouse = stations.warehouse(table.connection)
        yield TableErasure(warehouse, store, table, system=system, streams=streams, others=others)
    for endpoint in stations.spec.all(EndpointSpec):
        if not stations.platform.worker_alive():
            stations.capture(endpoint.name).drain()
        ingest = stations.capture_ingest(endpoint.name)
        ingest.run()
        spec = ingest.spec
        yield TableErasure(
            stations.warehouse(spec.connection), store, spec, system=system, streams=streams, capture=True
        )


def _staying(stations: SystemStations, subject: Subject) -> Iterator[Place]:
    for table in stations.spec.all(TableSpec):
        if table.existing and any(c.name == subject.column for c in table.columns):
            yield Place(f"table {table.existing}", 0, "rows", "others load it, and it is only read")
    for stream in stations.spec.all(StreamSpec):
        ours = stations.stream(stream.name).capabilities.trims
        kept = (
            f"{stream.retention_h:g} hours"
            if ours
            else f"the service's own retention ({stream.retention_h:g} hours, if made here)"
        )
        why = f"records stay on the stream for {kept}; one not delivered yet stays until it is, and still arrives"
        yield Place(f"stream {stream.name}", 0, "records", why)
    yield Place("models", 0, "versions", "what a model learned stays in it until it is trained anew")
    why = "held-out rows with their predictions stay, without columns that are personal"
    yield Place("artifacts of training jobs", 0, "files", why)
    yield Place("backups, and job folders of failed trainings", 0, "files", "delete those made before")

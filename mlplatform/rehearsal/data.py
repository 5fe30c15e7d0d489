"""Data's part of a rehearsal: rows arrive and are loaded, each accounted for; records that break a rule are kept out."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from mlplatform.core.tables.sample_rows import sample_rows
from mlplatform.core.tables.wrong_rows import wrong_rows
from mlplatform.errors import BugError, DataError
from mlplatform.rehearsal.arrivals import Arrivals
from mlplatform.rehearsal.likely import likely_schema
from mlplatform.rehearsal.stage import Done, Stages
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.ingest import Ingest

if TYPE_CHECKING:
    from mlplatform.core.loads.plan import Receipt
    from mlplatform.platform import SystemStations


def rehearse_data(stations: SystemStations, arrivals: Arrivals, stages: Stages) -> None:
    """Stages ``arrive``, ``load`` and ``quarantine`` of each table."""
    for table in stations.spec.all(TableSpec):
        rehearsed = _Table(stations, arrivals, table)
        name = table.name
        stages.run("arrive", name, rehearsed.arrive)
        stages.run("load", name, rehearsed.load, needs=[("arrive", name)])
        stages.run("quarantine", name, rehearsed.quarantine, needs=[("load", name)])


class _Table:
    """One table; one that others load is loaded here under the name it has there."""

    def __init__(self, stations: SystemStations, arrivals: Arrivals, table: TableSpec) -> None:
        self._stations = stations
        self._arrivals = arrivals
        self._table = table
        self._sources = arrivals.sources(table)

    @cached_property
    def _ingest(self) -> Ingest:
        stations, table = self._stations, self._table
        loaded = {"existing": None, "name": table.existing or table.name, "sources": self._sources}
        return Ingest(
            stations.warehouse(table.connection),
            stations.platform.store,
            table.model_copy(update=loaded),
            system=stations.spec.name,
            streams={s.name: s for s in stations.spec.all(StreamSpec)},
        )

    def arrive(self) -> Done:
        return Done(None, ", ".join(self._arrivals.bring(self._table)))

    def load(self) -> Done:
        receipts = self._ingest.run()
        for receipt in receipts:
            if receipt.outcome != "loaded":
                raise DataError(
                    f"'{receipt.key}' was not loaded into table '{self._table.name}': {receipt.reason}",
                    next_step="Correct the sample, or the table in its YAML.",
                )
        count = _sums(receipts)
        if count["quarantined"]:
            raise self._unfit(count)
        told = [f"{count[name]} {name}" for name in ("duplicates", "filtered") if count[name]]
        objects = "1 object" if len(receipts) == 1 else f"{len(receipts)} objects"
        return Done(count["loaded"], ", ".join([f"{count['arrived']} arrived in {objects}", *told]))

    def quarantine(self) -> Done:
        """Records that break one rule each must all be kept out."""
        now = datetime.now(UTC)
        if all(self._arrivals.transformed(s) for s in self._sources):
            return Done(None, "its stream transforms what is put on it: no wrong records are made")
        likely = replace(likely_schema(self._stations.spec, self._table), unique_key=())
        rng = random.Random(self._arrivals.seed)  # noqa: S311 - samples
        wrong = wrong_rows(self._table.schema_(), sample_rows(likely, 1, rng=rng, now=now)[0], now=now)
        if not wrong:
            return Done(0, "the columns have no rule that a record could break")
        refused = self._arrivals.bring_wrong(self._table, [w.row for w in wrong])
        kept_out = refused + _sums(self._ingest.run())["quarantined"]
        broken = ", ".join(w.broken for w in wrong)
        if kept_out != len(wrong):
            raise BugError(
                f"Table '{self._table.name}' kept out {kept_out} of {len(wrong)} records that break a rule each: {broken}.",
                next_step="This is a fault of mlplatform: please report the table's columns.",
            )
        return Done(kept_out, f"kept out: {broken}")

    def _unfit(self, count: Mapping[str, int]) -> DataError:
        waiting = self._stations.warehouse(self._table.connection).query(
            "SELECT source, record_offset, reason FROM _quarantine ORDER BY source, TRY_CAST(record_offset AS BIGINT) LIMIT 5"
        )
        told = "; ".join(f"record {r['record_offset']} of '{r['source']}': {r['reason']}" for r in waiting.to_pylist())
        return DataError(
            f"{count['quarantined']} of {count['arrived']} sample records do not fit table '{self._table.name}': {told}.",
            next_step="Correct the rows, or the table's columns in the YAML.",
        )


def _sums(receipts: Sequence[Receipt]) -> dict[str, int]:
    names = ("arrived", "loaded", "quarantined", "duplicates", "filtered")
    return {name: sum(getattr(r, name) for r in receipts) for name in names}

"""The platform's adapter in a warm process: loads with all checks, receipt and ledger; unloads; rows as a job gets them."""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measured import answer
from benchmarks.warehouses.data import ORDER, SELECT, schema
from benchmarks.warehouses.place import Place
from mlplatform.core.drift.profile import Field
from mlplatform.core.drift.profile_sql import take_baseline
from mlplatform.core.features.pull import FILE, Pull
from mlplatform.core.loads.plan import LoadPlan, ParquetFormat
from mlplatform.entrypoints.contract import Job
from mlplatform.entrypoints.pulled import WAREHOUSE, rows_of
from mlplatform.platform.connections import object_store
from mlplatform.platform.job_source import open_source
from mlplatform.ports.batches import batches
from mlplatform.spec.home import Home
from mlplatform.stations.pulled_rows import standing

_SHARD = "objects/in/"


class Ours:
    """One warehouse and store. Each load is into a table of its own, so that every round meets the same."""

    def __init__(self) -> None:
        self._plans: dict[str, LoadPlan] = {}
        self._unloads = itertools.count()

    def open(self, place: dict[str, Any]) -> None:
        """Make the adapters."""
        self._place = Place(**place)
        self._store = object_store(self._place.store_connection(), Home(Path(self._place.home)))
        self._warehouse = open_source(self._place.source())

    def put(self, key: str, file: str) -> None:
        """The object that both sides load."""
        self._store.put(key, Path(file))

    def prepare(self, table: str, key: str) -> None:
        """An empty table, and the plan to load the object into it."""
        self._warehouse.create(schema(table))
        guard, info = self._warehouse.guard(table, _SHARD), self._store.head(key)
        if info is None:
            raise RuntimeError(f"there is no object '{key}'")
        self._plans[table] = LoadPlan(
            table,
            _SHARD,
            guard.last,
            str(int(guard.last or 0) + 1),
            guard.epoch,
            key,
            info.etag,
            info.size_bytes,
            ParquetFormat(),
        )

    def load(self, table: str) -> dict[str, Any]:
        """The planned load."""
        receipt = self._warehouse.load(self._plans[table], schema(table), self._store)
        if not receipt.balanced():
            raise RuntimeError(f"'{table}': the receipt does not add up: {receipt}")
        return {"rows": receipt.loaded}

    def unload(self, table: str) -> dict[str, Any]:
        """The table's own columns as Parquet parts."""
        prefix = f"out/ours/{table}/{next(self._unloads)}/"
        done = self._warehouse.unload({prefix: SELECT + table}, self._store)[prefix]
        return {"rows": sum(part.rows for part in done.parts)}

    def read(self, table: str) -> dict[str, Any]:
        """Rows as Arrow, batch by batch as they come, kept."""
        import pyarrow as pa

        return {"rows": pa.Table.from_batches(list(batches(self._warehouse, SELECT + table))).num_rows}

    def profile(self, table: str) -> None:
        """The table's profile, taken by the engine, as a monitor's reference is."""
        fields = [Field("change", "numeric"), Field("price", "numeric"), Field("sector", "category")]
        histogram = self._warehouse.capabilities.histogram
        take_baseline(self._warehouse.query, table, fields, histogram=histogram)

    def describe(self, table: str, rows: int) -> dict[str, Any]:
        """The channel of a job whose rows are those of the table; and of one with none of them."""
        folders = {}
        for name, where, expected in (("all", "", rows), ("none", " WHERE price < 0", 0)):
            folder = Path(tempfile.mkdtemp(dir=self._place.home))
            for channel in ("spec", "training"):
                (folder / channel).mkdir()
            sql = SELECT + table + where
            stands = standing(self._warehouse, sql)
            pull = Pull(sql, ORDER, ORDER, expected, stands.version, stands.loads)
            (folder / "training" / FILE).write_text(json.dumps(pull.to_json()))
            (folder / "spec" / WAREHOUSE).write_text(json.dumps(self._place.source()))
            folders[name] = str(folder)
        return folders

    def pulled(self, folder: str) -> dict[str, Any]:
        """The channel's rows by the reader process beside a job, as the job's program asks for them."""
        here = Path(folder)
        channels = {name: here / name for name in ("spec", "training")}
        job = Job("bench", here, here, here, here, {}, channels)
        return {"rows": rows_of(job, ["training"])["training"].num_rows}


if __name__ == "__main__":
    ours = Ours()
    answer(
        {
            "open": ours.open,
            "put": ours.put,
            "prepare": ours.prepare,
            "load": ours.load,
            "unload": ours.unload,
            "read": ours.read,
            "profile": ours.profile,
            "describe": ours.describe,
            "pulled": ours.pulled,
        }
    )

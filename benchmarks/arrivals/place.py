"""A bucket of so many keys that a table has loaded, with a queue that it tells of new ones."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplatform.adapters.arrivals.sqs import SqsArrivals, SqsSettings
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.object_store.s3 import S3ObjectStore, S3Settings
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.spec.table import TableSpec
from mlplatform.stations.inbox import Inbox
from mlplatform.stations.ingest import Ingest
from mlplatform_tests.servers.ministack.server import Ministack

DATA = b"id\n1\n"
PAGE_S = 1e6
"""The round of listing stands still: what a page costs depends on its thousand keys, and on how the server sorts."""
TABLE = TableSpec.model_validate(
    {
        "name": "kept",
        "columns": [{"name": "id", "type": "bigint"}],
        "sources": [{"prefix": "in/", "suffix": ".csv"}],
        "on_same_content": "load",
    }
)
_LEDGER = """INSERT INTO w.main._ledger
SELECT i + 1, md5('b' || i), 'kept', 'objects/in/', i::varchar, (i + 1)::varchar, 0, format('in/{:09d}.csv', i), ?, '', 'loaded',
       1, 1, 0, 0, 0, TIMESTAMP '2026-01-01', '', NULL, NULL FROM range(?) r(i)"""


@dataclass
class Place:
    """One bucket with `keys` keys; `next` is the number of the next one."""

    server: Ministack
    bucket: str
    store: S3ObjectStore
    warehouse: DuckLakeWarehouse
    items: SqliteItemStore
    worker: Ingest
    next: int

    def inbox(self) -> Inbox:
        """As a process opens it; each look asks the queue."""
        settings = SqsSettings(queue=self.bucket, create=True, poll_s=1e-9, page_s=PAGE_S)
        arrivals = SqsArrivals(settings, S3Settings(bucket=self.bucket), client_options=self.server.client_options)
        return Inbox(arrivals, self.items)

    def ingest(self) -> Ingest:
        """As a process opens it."""
        return Ingest(self.warehouse, self.store, TABLE, system="bench", streams={}, inbox=self.inbox())

    def idle_s(self, looks: int) -> float:
        """Seconds of a worker's look when nothing arrived."""
        start = time.perf_counter()
        for _ in range(looks):
            if found := self.worker.run(for_s=1):
                raise RuntimeError(f"{self.bucket}: nothing was put, and {found[0].key} was loaded")
        return (time.perf_counter() - start) / looks

    def arrival_s(self) -> float:
        """Seconds of a sensor's tick, a process that starts anew, when one object arrived; the worker then loads it."""
        key = f"in/{self.next:09d}.csv"
        self.next += 1
        self.store.put(key, DATA)
        time.sleep(0.3)  # the bucket tells the queue
        sensor = self.ingest()
        start = time.perf_counter()
        plans = sensor.plan(noticed=True)
        seconds = time.perf_counter() - start
        if [plan.key for plan in plans] != [key] or len(self.worker.run(for_s=60)) != 1:
            raise RuntimeError(f"{self.bucket}: expected a plan of '{key}', found {[plan.key for plan in plans]}")
        self.worker.run(for_s=1)
        return seconds


@contextmanager
def place(server: Ministack, folder: Path, keys: int) -> Iterator[Place]:
    """All `keys` are in the table's ledger, as if they had been loaded."""
    bucket = f"keys-{keys}"
    etag = _fill(server, bucket, keys)
    store = S3ObjectStore(bucket, client_options=server.client_options)
    warehouse = DuckLakeWarehouse(folder / "warehouse")
    warehouse.create(TABLE.schema_())
    warehouse._engine.writer().execute(_LEDGER, [etag, keys])
    warehouse.guard("kept", "objects/in/", claim=False)
    warehouse._engine.writer().execute("UPDATE w.main._guards SET last = ? WHERE table_name = 'kept'", [str(keys)])
    with closing(SqliteItemStore(folder / "items.sqlite")) as items, closing(store), closing(warehouse):
        found = Place(server, bucket, store, warehouse, items, None, keys)  # type: ignore[arg-type]
        found.worker = found.ingest()
        while found.worker.run(for_s=60):
            pass
        # The round goes by all keys once, and has found nothing when it comes to its end.
        yield found


def _fill(server: Ministack, bucket: str, keys: int) -> str:
    """Put them by the protocol alone, which any client may: a hundred thousand in a minute. The ETag that they share."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    answer: Any = None
    for path in (f"/{bucket}", *(f"/{bucket}/in/{number:09d}.csv" for number in range(keys))):
        connection.request("PUT", path, DATA if path.endswith(".csv") else b"")
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(json.dumps([path, answer.status]))
    connection.close()
    return str(answer.headers["ETag"]).strip('"')

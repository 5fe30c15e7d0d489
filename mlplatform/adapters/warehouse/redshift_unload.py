"""UNLOAD: each query's rows as objects in S3, all read in one transaction and so from one snapshot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from mlplatform.adapters.warehouse.redshift_session import RedshiftSession
from mlplatform.adapters.warehouse.redshift_sql import unload_sql
from mlplatform.adapters.warehouse.sql_books import SqlBooks
from mlplatform.core.loads.snapshot import Part
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Unloaded

_CHUNK_BYTES = 4 * 1024 * 1024


def run_unload(
    connection: RedshiftSession, books: SqlBooks, selects: Mapping[str, str], store: ObjectStore, *, csv: bool
) -> dict[str, Unloaded]:
    """`selects`: key prefix → statement in Redshift's dialect."""
    with connection.transaction():
        positions = books.positions()
        for prefix, select in selects.items():
            url = store.url(_start(prefix))
            sql = unload_sql(select, url, connection.settings.iam_role, csv=csv)
            connection.execute(sql, subject=f"Unload to '{store.url(prefix)}'")
    return {prefix: Unloaded(tuple(_parts(prefix, store)), positions, None) for prefix in selects}


def _start(prefix: str) -> str:
    return f"{prefix.rstrip('/')}/part-"


def _parts(prefix: str, store: ObjectStore) -> Iterator[Part]:
    """The objects that the manifest lists. The manifest itself is not kept: what lies under the prefix is data alone."""
    start = _start(prefix)
    with store.open(f"{start}manifest") as file:
        entries: list[dict[str, Any]] = json.load(file)["entries"]
    for entry in sorted(entries, key=lambda e: e["url"]):
        key = start + entry["url"].removeprefix(store.url(start))
        digest, size_bytes = hashlib.sha256(), 0
        with store.open(key) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
        yield Part(key, int(entry["meta"]["record_count"]), size_bytes, digest.hexdigest())
    store.delete(f"{start}manifest")

"""Unload: the server writes each query's rows below its prefix, in parts; this machine only reads them for their hashes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from mlplatform.adapters.warehouse.hive_connection import HiveConnection
from mlplatform.adapters.warehouse.hive_parts import server_url, written
from mlplatform.adapters.warehouse.hive_sql import literal
from mlplatform.adapters.warehouse.staging.source import chunks, parquet_rows
from mlplatform.core.loads.arrived import Arrived
from mlplatform.core.loads.plan import CsvFormat
from mlplatform.core.loads.snapshot import Part
from mlplatform.ports.object_store import ObjectStore

PART_ROWS = 5_000_000
"""Most rows of one part."""

_CSV = {
    "header": "true",
    "escape": '"',
    "ignoreLeadingWhiteSpace": "false",
    "ignoreTrailingWhiteSpace": "false",
    "timestampNTZFormat": "yyyy-MM-dd HH:mm:ss.SSSSSS",
    "timestampFormat": "yyyy-MM-dd HH:mm:ss.SSSSSS",
}


def unload(connection: HiveConnection, select: str, store: ObjectStore, prefix: str, *, csv: bool) -> tuple[Part, ...]:
    """The rows of `select` (Spark's SQL) as objects below `prefix`, in a folder of their own."""
    folder = f"{prefix.rstrip('/')}/rows-{secrets.token_hex(4)}/"
    connection.run(
        unload_sql(select, server_url(store.url(folder.rstrip("/")), connection.settings.s3_scheme), csv=csv),
        subject=f"Unload to '{prefix}'",
    )
    with TemporaryDirectory(prefix="hive-unload-") as scratch:
        return tuple(_parts(store, folder, Path(scratch) / "part", csv=csv))


def unload_sql(select: str, url: str, *, csv: bool) -> str:
    """The statement."""
    given = {"maxRecordsPerFile": str(PART_ROWS), **(_CSV if csv else {})}
    options = ", ".join(f"{name} {literal(value)}" for name, value in given.items())
    return f"INSERT OVERWRITE DIRECTORY {literal(url)} USING {'csv' if csv else 'parquet'} OPTIONS ({options}) {select}"


def _parts(store: ObjectStore, folder: str, scratch: Path, *, csv: bool) -> Iterator[Part]:
    for info in written(store, folder):
        digest, counter = hashlib.sha256(), Arrived(CsvFormat(), single_column=False)
        with store.open(info.key) as file, scratch.open("wb") as copy:
            for chunk in chunks(file):
                digest.update(chunk)
                if csv:
                    counter.feed(chunk)
                else:
                    copy.write(chunk)
        rows = counter.finish() if csv else parquet_rows(scratch)
        yield Part(info.key, rows, info.size_bytes, digest.hexdigest())

"""`mlplatform put | upload | objects | query | tables | quarantine`: records in, rows out, what did not fit."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from cyclopts import App

from mlplatform.cli.groups import DATA
from mlplatform.cli.output import Count, Json, Seconds, read_bytes, readable, show
from mlplatform.cli.quarantine import quarantine
from mlplatform.cli.table_name import loaded_table, split_name
from mlplatform.errors import DataError, NotFoundError

RECEIPT = ("key", "outcome", "arrived", "loaded", "quarantined", "duplicates", "filtered", "loaded_at", "reason")
"""What people are shown of a receipt; `--json` has all."""


def register(app: App) -> None:
    """Add these commands to `app`."""
    for command in (put, upload, objects, query, receipts):
        app.command(command, group=DATA)
    app.command(quarantine)


def put(stream: str, file: Path | None = None, *, record: list[str] | None = None, json: Json = False) -> int:
    """Put records on a stream.

    Parameters
    ----------
    stream
        SYSTEM/STREAM, e.g. stock_prices/stock_stream.
    file
        JSON lines, or CSV with a header (by its ending .csv); - is standard input, as JSON lines.
    record
        One record as a JSON object; may be given several times.
    """
    from mlplatform.platform import open_platform

    system, name = split_name(stream, "SYSTEM/STREAM")
    stations = open_platform().system(system)
    producer, limits = stations.producer(name), stations.stream(name).capabilities
    lines: Iterator[bytes] = iter([r.encode() for r in record or []])
    if file is not None:
        lines = _records(file)
    stored = failed = 0
    errors: list[dict[str, object]] = []
    for batch in _batches(lines, limits.max_records_per_put, limits.max_bytes_per_put):
        results = producer.put(batch)
        for offset, result in enumerate(results):
            if result.error_code:
                errors.append(
                    {"record": stored + failed + offset + 1, "code": result.error_code, "error": result.error_message}
                )
        bad = sum(bool(r.error_code) for r in results)
        stored, failed = stored + len(results) - bad, failed + bad
    text = f"{stored} records stored, {failed} refused" + "".join(
        f"\n  record {e['record']}: {e['error']}" for e in errors[:20]
    )
    show({"stored": stored, "refused": failed, "errors": errors}, as_json=json, text=text)
    return 5 if failed else 0


def upload(file: Path, key: str, *, json: Json = False) -> int:
    """Put a file into the object store; under a table's prefix it is loaded as it arrives.

    Parameters
    ----------
    file
        The file; - is standard input.
    key
        Its key, e.g. stock_prices/stream/sample.csv; an object of that key is replaced.
    """
    from mlplatform.platform import open_platform

    store = open_platform().store
    info = store.put(key, file if readable(file).is_file() else read_bytes(file))
    show(info, as_json=json, text=f"{info.key}: {info.size_bytes} bytes, ETag {info.etag}")
    return 0


def objects(prefix: str = "", *, limit: Count = 100, json: Json = False) -> int:
    """List objects in key order.

    Parameters
    ----------
    prefix
        Only keys that begin with it.
    limit
        At most so many.
    """
    from mlplatform.platform import open_platform

    found = list(islice(open_platform().store.list(prefix), limit))
    show(found, as_json=json, columns=("key", "size_bytes", "modified"))
    return 0


def query(
    system: str,
    sql: str,
    *,
    connection: str = "warehouse",
    at: str | None = None,
    timeout_s: Seconds = 60,
    limit: Count = 1000,
    json: Json = False,
) -> int:
    """Run one read-only statement on a system's warehouse, in DuckDB's dialect whatever the warehouse is.

    Parameters
    ----------
    system
        Whose warehouse.
    sql
        The statement, e.g. "SELECT count(*) FROM stock_table".
    connection
        Connection of the profile, as the YAML names it.
    at
        Engine snapshot version to read, where the warehouse has them.
    timeout_s
        Seconds after which it is cancelled.
    limit
        Rows printed at most.
    """
    from mlplatform.platform import open_platform
    from mlplatform.spec.table import TableSpec

    stations = open_platform().system(system)
    try:
        result = stations.warehouse(connection).query(sql, at=at, timeout_s=timeout_s)
    except NotFoundError:
        # A table that nothing was loaded into yet is empty, not missing; what is no table is not found again.
        for table in stations.spec.all(TableSpec):
            if table.connection == connection and not table.existing:
                stations.ingest(table.name).create()
        result = stations.warehouse(connection).query(sql, at=at, timeout_s=timeout_s)
    except DataError as error:
        raise DataError(f"System '{system}': {error.message}", next_step=error.next_step) from error
    rows = result.slice(0, limit).to_pylist()
    if json:
        show({"rows": rows, "row_count": result.num_rows}, as_json=True)
        return 0
    show(rows, as_json=False)
    if result.num_rows > limit:
        print(f"({result.num_rows - limit} more rows)")
    return 0


def receipts(table: str, *, limit: Count = 20, json: Json = False) -> int:
    """Say what became of every record of each object: arrived = loaded + quarantined + duplicates + filtered.

    Parameters
    ----------
    table
        SYSTEM/TABLE.
    limit
        At most so many.
    """
    stations, name = loaded_table(table)
    found = stations.receipts(name, limit=limit)
    show(found, as_json=json, columns=RECEIPT)
    waiting = stations.quarantine(name).count()
    if waiting and not json:
        sys.stdout.flush()
        print(f"In quarantine: {waiting}.\n  → See why: mlplatform quarantine list {table}", file=sys.stderr)
    return 0


def _batches(records: Iterator[bytes], count: int, size_bytes: int) -> Iterator[list[bytes]]:
    """Records in calls of at most so many and of at most half so many bytes (keys count too, and are parts of records)."""
    batch: list[bytes] = []
    held = 0
    for record in records:
        if batch and (len(batch) == count or held + len(record) > size_bytes // 2):
            yield batch
            batch, held = [], 0
        batch.append(record)
        held += len(record)
    if batch:
        yield batch


def _records(file: Path) -> Iterator[bytes]:
    if file.suffix == ".csv":
        import csv

        with readable(file).open(newline="", encoding="utf-8-sig") as handle:
            rows = csv.DictReader(handle, strict=True)
            try:
                for row in rows:
                    if None in row or None in row.values():
                        raise DataError(
                            f"'{file}', line {rows.line_num}: the header has {len(rows.fieldnames or [])} fields, the line another number.",
                            next_step="Correct the line, or quote the field that has a comma; earlier records may be stored already.",
                        )
                    yield jsonlib.dumps({k: v if v != "" else None for k, v in row.items()}).encode()
            except (UnicodeDecodeError, csv.Error) as error:
                raise DataError(
                    f"'{file}', after line {rows.line_num}: not readable as CSV in UTF-8: {error}.",
                    next_step="Save it as CSV in UTF-8 and put it again; earlier records may be stored already.",
                ) from error
        return
    for line in read_bytes(file).splitlines():
        if line.strip():
            yield line

"""CSV into Parquet at the engine's full speed: one parallel pass with a declared dialect, and nothing sniffed.

Records the parser refuses come with their byte position; records that break a rule are found by a second pass that only
runs when the counts say that there are some. The bytes of both are cut out of the object, by our own reading of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mlplatform.adapters.warehouse.staging.job import Bad, Job, Staged, sql_type, write_quarantine
from mlplatform.adapters.warehouse.staging.source import Source, chunks
from mlplatform.core.loads.csv_header import HEAD_BYTES, csv_columns
from mlplatform.core.loads.csv_record import record_fields
from mlplatform.core.loads.csv_records import csv_segments
from mlplatform.core.loads.fits import Check, reason, type_check, typed_value, value_checks
from mlplatform.core.loads.plan import CsvFormat
from mlplatform.core.loads.remedy import fix_dialect
from mlplatform.core.sql import identifier, literal
from mlplatform.core.tables.schema import MASKED, TableSchema
from mlplatform.errors import DataError

_REJECTS, _SCANS = "csv_rejects", "csv_scans"
_READ_AS_TEXT = ("bigint", "json", "timestamp")


@dataclass(frozen=True)
class _Rejected:
    """What the parser said of one record; `checks` are (column, code)."""

    checks: list[tuple[str, str]] = field(default_factory=list)
    message: str = ""


def stage_csv(job: Job, source: Source, format: CsvFormat) -> Staged:  # noqa: A002
    """Stages the object's records. Raises DataError where it must be quarantined whole."""
    with source.path.open("rb") as file:
        columns = csv_columns(file.read(HEAD_BYTES), format, job.schema)
    path = source.path
    if job.plan.skip_rows:
        path = _without(source, format, job.plan.skip_rows, len(columns), job.scratch / "rest.csv")
    text = {name: identifier(name) for name in columns}
    checks = _checks(job.schema, text)
    reader = _reader(path, format, job.schema, columns)
    fits = " AND ".join(c.sql for c in checks) or "true"
    rows = _run(job, f"SELECT {job.columns(text)}, {job.provenance()} FROM {reader} WHERE {fits}")
    rejected = _rejected(job)
    arrived = source.count()
    expected = arrived - job.plan.skip_rows
    broken: dict[int, list[tuple[str, str]]] = {}
    if rows + len(rejected) < expected and checks:
        broken = _broken(job, reader, columns, checks)
    if rows + len(rejected) + len(broken) != expected:
        raise DataError(
            f"the object has {expected} records by its line ends, the parser found {rows + len(rejected) + len(broken)}: "
            "quotes or line ends do not follow the declared dialect",
            next_step=fix_dialect(job.plan.table),
        )
    quarantined = 0
    if rejected or broken:
        found = _cut_out(path, format, columns, rejected, broken, job.schema, job.plan.skip_rows)
        quarantined = write_quarantine(job, found, columns=columns)
    if quarantined != len(rejected) + len(broken):
        raise DataError(
            f"{len(rejected) + len(broken)} records do not fit, and {quarantined} of them were found in the bytes: "
            "quotes do not follow the declared dialect",
            next_step=fix_dialect(job.plan.table),
        )
    return Staged(rows=rows, quarantined=quarantined, skipped=job.plan.skip_rows)


def _checks(schema: TableSchema, text: dict[str, str]) -> list[Check]:
    checks: list[Check] = []
    for column in schema.columns:
        if column.name not in text:
            continue
        if column.type in _READ_AS_TEXT and (typed := type_check(column, text[column.name])) is not None:
            checks.append(typed)
        checks += value_checks(column, typed_value(column, text[column.name]), text[column.name])
    return checks


def _reader(path: Path, format: CsvFormat, schema: TableSchema, columns: tuple[str, ...]) -> str:  # noqa: A002
    types = {c.name: "VARCHAR" if c.type in _READ_AS_TEXT else sql_type(c) for c in schema.columns}
    declared = ", ".join(f"{literal(name)}: {literal(types[name])}" for name in columns)
    options = {
        "auto_detect": "false",
        "header": str(format.header).lower(),
        "columns": f"{{{declared}}}",
        "delim": literal(format.delimiter),
        "quote": literal(format.quote),
        "escape": literal(format.escape if format.quote else ""),
        "nullstr": literal(format.null),
        "allow_quoted_nulls": "false",
        "store_rejects": "true",
        "rejects_table": literal(_REJECTS),
        "rejects_scan": literal(_SCANS),
        "rejects_limit": "0",
    }
    return f"read_csv({literal(str(path))}, {', '.join(f'{k} = {v}' for k, v in options.items())})"


def _run(job: Job, select: str) -> int:
    import duckdb

    for table in (_REJECTS, _SCANS):
        job.connection.execute(f"DROP TABLE IF EXISTS {table}")
    try:
        return job.write(select, ordered=bool(job.schema.unique_key))
    except duckdb.InvalidInputException as error:
        masked = bool(job.schema.personal)
        said = MASKED if masked else _said(str(error))
        raise DataError(f"the parser gave up: {said}", next_step=fix_dialect(job.plan.table)) from (
            None if masked else error
        )


def _rejected(job: Job) -> dict[int, _Rejected]:
    """Records the parser refused, by the byte that they (or a blank line before them) begin at."""
    found: dict[int, _Rejected] = {}
    rows = job.connection.execute(
        f"SELECT line_byte_position, column_name, error_type, error_message FROM {_REJECTS} ORDER BY ALL"
    ).fetchall()
    for position, column, kind, message in rows:
        record = found.setdefault(position, _Rejected([], _said(message)))
        if kind == "CAST":
            record.checks.append((column, "type"))
    return found


def _broken(job: Job, reader: str, columns: tuple[str, ...], checks: list[Check]) -> dict[int, list[tuple[str, str]]]:
    """Records that break a rule: number among those the parser accepted (from 0) → what they break."""
    for table in (_REJECTS, _SCANS):
        job.connection.execute(f"DROP TABLE IF EXISTS {table}")
    job.connection.execute("SET preserve_insertion_order = true")
    failures = ", ".join(f"CASE WHEN NOT ({c.sql}) THEN {i} END" for i, c in enumerate(checks))
    # The parser refuses a value only in columns that are asked for: without all of them it would accept, and number,
    # records that it refused when they were loaded.
    every = f"hash({', '.join(map(identifier, columns))}) AS every"
    rows = job.connection.execute(
        f"SELECT number, failed, every FROM (SELECT row_number() OVER () - 1 AS number, {every}, "
        f"list_filter([{failures}], lambda x: x IS NOT NULL) AS failed FROM {reader}) WHERE len(failed) > 0"
    ).fetchall()
    return {number: [(checks[i].column, checks[i].code) for i in failed] for number, failed, _ in rows}


def _cut_out(
    path: Path,
    format: CsvFormat,  # noqa: A002
    columns: tuple[str, ...],
    rejected: dict[int, _Rejected],
    broken: dict[int, list[tuple[str, str]]],
    schema: TableSchema,
    skipped: int,
) -> Iterator[Bad]:
    """The bad records' bytes, in order, each with its number in the object (from 1) and its reason."""
    positions = np.array(sorted(rejected), np.int64)
    numbers = np.array(sorted(broken), np.int64)
    record, accepted = 1 + skipped, 0
    with path.open("rb") as file:
        header = format.header
        for segment in csv_segments(chunks(file), format, single_column=len(columns) == 1):
            starts = segment.starts[1:] if header and len(segment.starts) else segment.starts
            ends = segment.ends[1:] if header and len(segment.starts) else segment.ends
            header = header and not len(segment.starts)
            # A position may name a blank line before the record: the record is the first that ends behind it.
            first, last = segment.start, segment.start + len(segment.data)
            mine = positions[(positions >= first) & (positions < last)]
            refused = np.searchsorted(ends, mine - first, side="right") if len(mine) else np.zeros(0, np.int64)
            good = np.ones(len(starts), bool)
            good[refused[refused < len(starts)]] = False
            order = np.flatnonzero(good)
            here = numbers[(numbers >= accepted) & (numbers < accepted + len(order))]
            bad = {int(i): rejected[int(p)] for i, p in zip(refused, mine, strict=True) if i < len(starts)}
            bad |= {int(order[n - accepted]): _Rejected(broken[int(n)]) for n in here}
            for index in sorted(bad):
                raw = segment.data[int(starts[index]) : int(ends[index])]
                yield Bad(str(record + index), _reason(raw, bad[index], format, columns, schema), raw)
            record += len(starts)
            accepted += len(order)


def _reason(
    raw: bytes,
    rejected: _Rejected,
    format: CsvFormat,  # noqa: A002
    columns: tuple[str, ...],
    schema: TableSchema,
) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        found = MASKED if schema.personal else raw[error.start : error.start + 4].hex()
        return f"not UTF-8: {error.reason} at byte {error.start} of the record, found {found}"
    fields = record_fields(text, format) or text.split(format.delimiter)
    if len(fields) != len(columns):
        return f"expected {len(columns)} fields ({', '.join(columns)}), found {len(fields)}"
    if not rejected.checks:
        return f"the record does not follow the declared dialect: {MASKED if schema.personal else rejected.message}"
    values = dict(zip(columns, fields, strict=True))
    masked = bool(schema.personal)
    return "; ".join(reason(schema.column(name), code, values[name], masked=masked) for name, code in rejected.checks)


def _without(source: Source, format: CsvFormat, skip: int, width: int, target: Path) -> Path:  # noqa: A002
    """A copy of the object that has its header, and the records behind the first `skip`."""
    left = skip + (1 if format.header else 0)
    with source.path.open("rb") as file, target.open("wb") as rest:
        for segment in csv_segments(chunks(file), format, single_column=width == 1):
            if format.header and rest.tell() == 0 and len(segment.starts):
                rest.write(segment.data[: int(segment.ends[0])] + b"\n")
            gone = min(left, len(segment.starts))
            left -= gone
            if gone < len(segment.starts):
                rest.write(segment.data[int(segment.starts[gone]) :])
    return target


def _said(message: str) -> str:
    return message.splitlines()[0].removeprefix("Invalid Input Error: ") if message else ""

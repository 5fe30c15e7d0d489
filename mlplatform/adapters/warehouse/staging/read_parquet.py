"""Parquet into Parquet: the table's columns, cast where their types differ, checked by the same rules."""

from __future__ import annotations

from collections.abc import Iterator

from mlplatform.adapters.warehouse.staging.job import Bad, Job, Staged, write_quarantine
from mlplatform.adapters.warehouse.staging.source import Source
from mlplatform.core.loads.fits import Check, reason, type_check, typed_value, value_checks
from mlplatform.core.loads.remedy import UPLOAD_AGAIN, fix_columns
from mlplatform.core.sql import identifier, literal
from mlplatform.core.tables.schema import MASKED
from mlplatform.errors import DataError

_FETCH = 5_000
_TEXT_FIRST = ("bigint", "json", "boolean")


def stage_parquet(job: Job, source: Source) -> Staged:
    """Stages the object's rows. Raises DataError where it must be quarantined whole."""
    arrived = source.count()
    columns = _columns(job, source)
    checks: list[Check] = []
    text: dict[str, str] = {}
    for column in job.schema.columns:
        if column.name not in columns:
            continue
        name = identifier(column.name)
        text[column.name] = f"CAST({name} AS VARCHAR)" if column.type in _TEXT_FIRST else name
        if column.type == "timestamp" and columns[column.name] != "VARCHAR":
            text[column.name] = f"CAST(TRY_CAST({name} AS TIMESTAMP) AS VARCHAR)"
        if (typed := type_check(column, text[column.name])) is not None:
            checks.append(typed)
        checks += value_checks(column, typed_value(column, text[column.name]), text[column.name])
    fits = " AND ".join(c.sql for c in checks) or "true"
    reader = f"read_parquet({literal(str(source.path))}, file_row_number = true)"
    new = f"file_row_number >= {job.plan.skip_rows}"
    rows = job.write(
        f"SELECT {job.columns(text)}, {job.provenance()} FROM {reader} WHERE {new} AND {fits} ORDER BY file_row_number"
        if job.plan.skip_rows
        else f"SELECT {job.columns(text)}, {job.provenance()} FROM {reader} WHERE {fits}"
    )
    quarantined = 0
    if rows < arrived - job.plan.skip_rows:
        quarantined = write_quarantine(job, _bad(job, reader, new, checks, columns))
    return Staged(rows, quarantined, skipped=job.plan.skip_rows)


def _columns(job: Job, source: Source) -> dict[str, str]:
    """The file's columns and their types."""
    import duckdb

    try:
        rows = job.connection.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(str(source.path))})").fetchall()
    except duckdb.Error as error:
        masked = bool(job.schema.personal)
        found = MASKED if masked else str(error).splitlines()[0]
        raise DataError(f"the object is no whole Parquet file: {found}", next_step=UPLOAD_AGAIN) from (
            None if masked else error
        )
    columns: dict[str, str] = {row[0]: row[1] for row in rows}
    known = job.schema.names
    # As of a header: what is no name of the table's may be a value.
    told = [name if name in known or not job.schema.personal else MASKED for name in columns]
    problems = [
        f"unknown column '{name}'" if shown == name else f"unknown column {shown} at place {place}"
        for place, (name, shown) in enumerate(zip(columns, told, strict=True), 1)
        if name not in known
    ]
    problems += [f"no column '{c.name}'" for c in job.schema.columns if not c.nullable and c.name not in columns]
    if problems:
        raise DataError(
            f"the file does not fit table '{job.schema.name}': {', '.join(problems)}; "
            f"expected {', '.join(known)}, found {', '.join(told)}",
            next_step=fix_columns(job.schema.name),
        )
    return columns


def _bad(job: Job, reader: str, new: str, checks: list[Check], columns: dict[str, str]) -> Iterator[Bad]:
    failures = ", ".join(f"CASE WHEN NOT ({c.sql}) THEN {i} END" for i, c in enumerate(checks))
    names = ", ".join(identifier(name) for name in columns)
    texts = ", ".join(f"CAST({identifier(name)} AS VARCHAR)" for name in columns)
    cursor = job.connection.execute(
        f"SELECT number, raw, failed, v FROM (SELECT file_row_number AS number, "
        f"CAST(to_json(struct_pack({', '.join(f'{identifier(n)} := {identifier(n)}' for n in columns)})) AS VARCHAR) AS raw, "
        f"[{texts}] AS v, list_filter([{failures}], lambda x: x IS NOT NULL) AS failed "
        f"FROM (SELECT file_row_number, {names} FROM {reader} WHERE {new})) WHERE len(failed) > 0 ORDER BY number"
    )
    while rows := cursor.fetchmany(_FETCH):
        for number, raw, failed, values in rows:
            found = dict(zip(columns, values, strict=True))
            why = [
                reason(job.schema.column(c.column), c.code, found[c.column], masked=bool(job.schema.personal))
                for c in (checks[i] for i in failed)
            ]
            yield Bad(str(number + 1), "; ".join(why), raw.encode())

"""JSON lines into Parquet: each line parsed once by the engine, with the fields that a stream's delivery adds.

A decimal of more than 15 digits is to be sent as a string: as a number it is quarantined, not rounded. A record that names
a field twice is quarantined: parsers differ in which one they take.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from mlplatform.adapters.warehouse.staging.job import Bad, Job, Staged, write_quarantine
from mlplatform.adapters.warehouse.staging.source import Source, chunks
from mlplatform.core.loads.fits import Check, reason, shorten, type_check, typed_value, value_checks
from mlplatform.core.loads.json_lines import (
    DELIVERY_FIELDS,
    ERROR,
    FILTERED,
    SCHEMA,
    SEQUENCE,
    UNPARSED,
    line_batches,
)
from mlplatform.core.loads.landing import LOST
from mlplatform.core.loads.remedy import UPLOAD_AGAIN
from mlplatform.core.sql import literal
from mlplatform.errors import DataError

_FETCH = 5_000
_DOUBLE_DIGITS = 15


def stage_jsonl(job: Job, source: Source) -> Staged:
    """Stages the object's lines. Raises DataError where it must be quarantined whole."""
    import pyarrow as pa

    if source.path.stat().st_size == 0:
        raise DataError("the object is empty; expected JSON lines", next_step=UPLOAD_AGAIN)
    fields = [*job.schema.names, *DELIVERY_FIELDS]
    checks = _checks(job, fields)
    job.connection.execute("DROP TABLE IF EXISTS temp.staged_lines")
    with source.path.open("rb") as file:
        lines = pa.RecordBatchReader.from_batches(SCHEMA, line_batches(chunks(file)))
        job.connection.register("json_lines_in", lines)
        try:
            job.connection.execute(f"CREATE TEMP TABLE staged_lines AS {_classified(job, fields, checks)}")
        finally:
            job.connection.unregister("json_lines_in")
    staged = _write(job, fields, checks)
    job.connection.execute("DROP TABLE temp.staged_lines")
    return staged


def _write(job: Job, fields: list[str], checks: list[Check]) -> Staged:
    text = {c.name: _json(fields, c.name) if c.type == "json" else _text(fields, c.name) for c in job.schema.columns}
    kinds = dict(job.connection.execute("SELECT kind, count(*) FROM staged_lines GROUP BY kind").fetchall())
    rows = 0
    if kinds.get("row"):
        offset = f"{_text(fields, SEQUENCE)}"
        rows = job.write(
            f"SELECT {job.columns(text)}, {job.provenance(offset)} FROM staged_lines WHERE kind = 'row' ORDER BY number"
        )
    quarantined = write_quarantine(job, _bad(job, fields, checks)) if kinds.get("bad") else 0
    return Staged(rows, quarantined, filtered=kinds.get("filtered", 0), skipped=kinds.get("skipped", 0))


def _classified(job: Job, fields: list[str], checks: list[Check]) -> str:
    """SQL of (number, raw, v: texts of `fields`, x: their JSON, failed: what is wrong, kind: row, bad, filtered or skipped)."""
    pointers = ", ".join(literal("/" + name.replace("~", "~0").replace("/", "~1")) for name in fields)
    known = ", ".join(literal(name) for name in fields)
    failures = ", ".join(f"CASE WHEN NOT ({c.sql}) THEN {i} END" for i, c in enumerate(checks))
    sequence = _sequence(fields)
    skipped = f"number <= {job.plan.skip_rows}"
    if job.plan.stream and job.plan.last:
        skipped = f"({skipped} OR coalesce({sequence} <= {literal(job.plan.last)}, false))"
    return f"""
        SELECT *, CASE
            WHEN {skipped} THEN 'skipped'
            WHEN is_object AND {_text(fields, FILTERED)} = 'true' THEN 'filtered'
            WHEN is_object AND {_text(fields, UNPARSED)} IS NULL AND len(failed) = 0 AND len(unknown) = 0
                AND list_unique(keys) = len(keys) THEN 'row'
            ELSE 'bad' END AS kind
        FROM (
            SELECT *, list_filter(keys, lambda k: k NOT IN ({known})) AS unknown,
                CASE WHEN is_object THEN list_filter([{failures}], lambda x: x IS NOT NULL) ELSE [] END AS failed
            FROM (
                SELECT number, raw, object IS NOT NULL AS is_object,
                    json_extract_string(object, [{pointers}]) AS v,
                    json_extract(object, [{pointers}]) AS x,
                    json_keys(object) AS keys
                FROM (
                    SELECT number, raw, CASE WHEN json_type(json) = 'OBJECT' THEN json END AS object
                    FROM (SELECT number, raw, CASE WHEN json_valid(line) THEN line END AS json FROM json_lines_in)
                )
            )
        )"""


def _checks(job: Job, fields: list[str]) -> list[Check]:
    checks: list[Check] = []
    for column in job.schema.columns:
        text = _json(fields, column.name) if column.type == "json" else _text(fields, column.name)
        if column.type == "varchar":
            kind = f"json_type(x[{fields.index(column.name) + 1}])"
            checks.append(Check(column.name, "type", f"coalesce({kind} NOT IN ('OBJECT', 'ARRAY'), true)"))
        elif column.type.startswith("decimal"):
            # The engine reads a JSON number as a double: more digits than that holds would be lost without a word.
            kind = f"json_type(x[{fields.index(column.name) + 1}])"
            digits = f"length(regexp_replace({text}, '[^0-9]', '', 'g'))"
            exact = f"coalesce({kind} <> 'DOUBLE' OR {digits} <= {_DOUBLE_DIGITS}, true)"
            fits = type_check(column, text)
            checks.append(Check(column.name, "type", f"({exact} AND {fits.sql if fits else 'true'})"))
        elif column.type != "json" and (typed := type_check(column, text)) is not None:
            checks.append(typed)
        checks += value_checks(column, typed_value(column, text), text)
    if job.plan.stream:
        upto = literal(job.plan.upto)
        checks.append(Check(SEQUENCE, "sequence", f"coalesce({_sequence(fields)} <= {upto}, false)"))
    return checks


def _text(fields: list[str], name: str) -> str:
    return f"v[{fields.index(name) + 1}]"


def _sequence(fields: list[str]) -> str:
    """SQL of a line's sequence; what follows a dot tells apart records that share it."""
    return f"split_part({_text(fields, SEQUENCE)}, '.', 1)"


def _json(fields: list[str], name: str) -> str:
    """SQL of a field's JSON itself; NULL where it is missing or null."""
    return f"nullif(CAST(x[{fields.index(name) + 1}] AS VARCHAR), 'null')"


def _bad(job: Job, fields: list[str], checks: list[Check]) -> Iterator[Bad]:
    cursor = job.connection.execute(
        "SELECT number, raw, is_object, v, failed, unknown, keys FROM staged_lines WHERE kind = 'bad' ORDER BY number"
    )
    while rows := cursor.fetchmany(_FETCH):
        for number, raw, is_object, values, failed, unknown, keys in rows:
            found = dict(zip(fields, values, strict=True)) if is_object else {}
            offset = found.get(SEQUENCE) or str(number)
            masked = bool(job.schema.personal)
            why = (
                _reasons(job, found, [checks[i] for i in failed], unknown, keys)
                if is_object
                else _no_object(raw, masked=masked)
            )
            yield Bad(offset, why, raw)


def _reasons(job: Job, found: dict[str, Any], failed: list[Check], unknown: list[str], keys: list[str]) -> str:
    masked = bool(job.schema.personal)
    if found[UNPARSED] is not None:
        return f"the record is no JSON object: {_error(found, masked=masked) or 'delivered as it came'}"
    known = ", ".join(job.schema.names)
    reasons = [f"unknown column {shorten(name, masked=masked)}; the table has: {known}" for name in unknown]
    reasons += [
        f"field {shorten(name, masked=masked and name in unknown)} stands {n} times"
        for name, n in Counter(keys).items()
        if n > 1
    ]
    for check in failed:
        if check.code == "sequence":
            reasons.append(f"expected _sequence up to {job.plan.upto}, found {shorten(found[SEQUENCE])}")
        else:
            reasons.append(reason(job.schema.column(check.column), check.code, found[check.column], masked=masked))
    return "; ".join(reasons)


def _error(found: dict[str, Any], *, masked: bool) -> str:
    """What delivery said of a record; where it is masked, not what a transformation's own error says of a value."""
    said = str(found[ERROR] or "")
    if not masked or str(found[SEQUENCE]).endswith(LOST):
        return said
    return ": ".join(said.split(": ")[:2])


def _no_object(raw: bytes, *, masked: bool) -> str:
    try:
        return f"expected a JSON object, found {shorten(raw.decode(), masked=masked)}"
    except UnicodeDecodeError as error:
        return f"not UTF-8: {error.reason} at byte {error.start} of the line"

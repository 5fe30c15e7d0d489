"""Redshift's COPY from S3 and UNLOAD to S3, on PostgreSQL's COPY to and from files that server and proxy share.

The objects are fetched right before the server runs the statement, and stored right after it: rows are visible, and
rolled back, with the transaction that the statement runs in.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from pyarrow import csv as pa_csv
from sqlglot import exp

from mlplatform_tests.servers.redshift.postgres import Postgres
from mlplatform_tests.servers.redshift.proxy import RedshiftRefusedError, Statement
from mlplatform_tests.servers.redshift.translation import translate

LONGEST_VARCHAR_BYTES = 65535

_COPY = re.compile(r"\s*COPY\s+(?P<table>\S+)\s+FROM\s+'(?P<url>s3://[^']+)'\s+(?P<options>.*)", re.I | re.S)
_UNLOAD = re.compile(
    r"\s*UNLOAD\s+\('(?P<query>(?:[^'\\]|''|\\.)*)'\)\s+TO\s+'(?P<url>s3://[^']+)'\s+(?P<options>.*)", re.I | re.S
)
_ROLE = re.compile(r"IAM_ROLE\s+(DEFAULT|'arn:aws:iam::\d+:role/[^']+')", re.I)
_ESCAPED = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_ARROW: dict[str, pa.DataType] = {
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "smallint": pa.int16(),
    "double precision": pa.float64(),
    "real": pa.float32(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp without time zone": pa.timestamp("us"),
}


@dataclass(frozen=True)
class BulkStatements:
    """Runs them against `server`, with objects behind the boto3 client `s3`."""

    server: Postgres
    s3: Any

    def statement(self, sql: str) -> Statement:
        """What PostgreSQL runs for any statement of Redshift's, and what happens around it."""
        if (found := _COPY.fullmatch(sql)) is not None:
            return self._copy(found["table"], found["url"], _options(found["options"], {"FORMAT AS PARQUET"}))
        if (found := _UNLOAD.fullmatch(sql)) is not None:
            return self._unload(unescaped(found["query"]), found["url"], found["options"])
        return Statement(translate(sql))

    def _copy(self, table: str, url: str, _: set[str]) -> Statement:
        file = self._file()

        def fetch() -> None:
            objects = list(self._objects(url))
            if not objects:
                raise RedshiftRefusedError(
                    f"The specified S3 prefix '{urlsplit(url).path[1:]}' does not exist", "XX000"
                )
            with file.open("w", encoding="utf-8", newline="") as target:
                for key, body in objects:
                    for batch in pq.ParquetFile(pa.BufferReader(body)).iter_batches():
                        target.writelines(_lines(batch, key))
            file.chmod(0o666)

        return Statement(f"COPY {table} FROM '{file}'", before=fetch)

    def _unload(self, query: str, url: str, options: str) -> Statement:
        known = {"FORMAT AS PARQUET", "FORMAT AS CSV", "HEADER", "EXTENSION 'csv'", "MANIFEST VERBOSE", "PARALLEL OFF"}
        asked = _options(options, known)
        tree = sqlglot.parse_one(query, read="redshift")
        if isinstance(tree, exp.Query) and tree.args.get("limit"):
            raise RedshiftRefusedError("UNLOAD: LIMIT is not supported in the outer query")
        inner, file = translate(query), self._file()

        def clear() -> None:
            if any(self._objects(url)):
                raise RedshiftRefusedError(f"Specified unload destination on S3 is not empty: '{url}'", "XX000")

        def store() -> None:
            entries = []
            for name, body, rows in self._parts(inner, file, asked):
                self._put(url + name, body)
                entries.append({"url": url + name, "meta": {"content_length": len(body), "record_count": rows}})
            self._put(f"{url}manifest", json.dumps({"entries": entries}).encode())

        return Statement(f"COPY ({inner}) TO '{file}' WITH (FORMAT csv, HEADER)", before=clear, after=store)

    def _parts(self, inner: str, file: Path, asked: set[str]) -> Iterator[tuple[str, bytes, int]]:
        ordered = "PARALLEL OFF" in asked
        if "FORMAT AS CSV" in asked:
            header, *records = _records(file)
            for number, part in enumerate([records] if ordered else _halves(records)):
                yield "000.csv" if ordered else f"{number:04}_part_00.csv", b"".join((header, *part)), len(part)
            return
        table = _read(file, self._types(inner))
        slices = [table] if ordered else [table.slice(0, len(table) // 2), table.slice(len(table) // 2)]
        for number, part in enumerate(slices):
            sink = pa.BufferOutputStream()
            pq.write_table(part, sink, compression="snappy")
            yield f"{number:04}_part_00.parquet", sink.getvalue().to_pybytes(), len(part)

    def _types(self, inner: str) -> dict[str, str]:
        rows = self.server.psql(
            f"CREATE TEMP VIEW unloaded AS {inner}",
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = 'unloaded'::regclass AND attnum > 0 ORDER BY attnum",
        )
        return {row[0]: row[1] for row in rows}

    def _file(self) -> Path:
        return self.server.exchange / secrets.token_hex(8)

    def _objects(self, url: str) -> Iterator[tuple[str, bytes]]:
        """Key and bytes of every object whose key *starts* so: that is what COPY reads."""
        split = urlsplit(url)
        with _told_by_redshift():
            listed = self.s3.list_objects_v2(Bucket=split.netloc, Prefix=split.path[1:])
            for found in listed.get("Contents", ()):
                yield found["Key"], self.s3.get_object(Bucket=split.netloc, Key=found["Key"])["Body"].read()

    def _put(self, url: str, body: bytes) -> None:
        split = urlsplit(url)
        with _told_by_redshift():
            self.s3.put_object(Bucket=split.netloc, Key=split.path[1:], Body=body)


@contextlib.contextmanager
def _told_by_redshift() -> Iterator[None]:
    """What S3 refuses, as Redshift passes it on."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        said, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        message = str(said.get("Message", "")).rstrip(".")
        told = f"S3ServiceException:{message},Status {status},Error {said['Code']},Rid 0,ExtRid 0,CanRetry 1"
        raise RedshiftRefusedError(told, "XX000") from error


def _records(file: Path) -> list[bytes]:
    """The lines of PostgreSQL's CSV, those that belong together as one; the header first."""
    found, begun = [], b""
    with file.open("rb") as lines:
        for line in lines:
            begun += line
            if begun.count(b'"') % 2 == 0:
                found.append(begun)
                begun = b""
    return found


def _halves(records: list[bytes]) -> list[list[bytes]]:
    """What two slices write."""
    return [records[: len(records) // 2], records[len(records) // 2 :]]


def unescaped(text: str) -> str:
    """What stands in a string: a doubled quote is a quote, and so is whatever a backslash precedes."""
    return re.sub(r"''|\\(.)", lambda found: found[1] or "'", text, flags=re.S)


def _options(text: str, known: set[str]) -> set[str]:
    """Options of COPY or UNLOAD. Raises RedshiftRefusedError for one that is not known, or without a role."""
    rest, roles = _ROLE.subn("", text)
    found = {option for option in known if option in rest}
    for option in found:
        rest = rest.replace(option, "", 1)
    if roles != 1 or rest.strip():
        raise RedshiftRefusedError(f"expected IAM_ROLE and {sorted(known)}, found '{text}'", "42601")
    return found


def _lines(batch: pa.RecordBatch, key: str) -> Iterator[str]:
    """Rows in PostgreSQL's text format."""
    for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
        yield "\t".join(_field(value, key) for value in row) + "\n"


def _field(value: Any, key: str) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return f"\\\\x{value.hex()}"
    text = str(value)
    if len(text.encode()) > LONGEST_VARCHAR_BYTES:
        raise RedshiftRefusedError(
            f"{key}: the value is longer than the column's {LONGEST_VARCHAR_BYTES} bytes", "XX000"
        )
    if "\0" in text:
        raise RedshiftRefusedError(f"{key}: invalid null byte", "XX000")
    return text.translate(_ESCAPED)


def _read(file: Path, types: dict[str, str]) -> pa.Table:
    """Rows of PostgreSQL's CSV, typed: an unquoted empty field is NULL."""
    convert = pa_csv.ConvertOptions(
        column_types={name: _arrow(kind) for name, kind in types.items()},
        null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
        true_values=["t"], false_values=["f"],
    )  # fmt: skip
    return pa_csv.read_csv(file, parse_options=pa_csv.ParseOptions(newlines_in_values=True), convert_options=convert)


def _arrow(kind: str) -> pa.DataType:
    if kind.startswith("numeric("):
        precision, scale = kind[8:-1].split(",")
        return pa.decimal128(int(precision), int(scale))
    return _ARROW.get(kind, pa.decimal128(38, 0) if kind == "numeric" else pa.string())

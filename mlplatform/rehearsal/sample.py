"""The rows of a rehearsal: files that the user keeps or names, or rows made up from the tables' schemas."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlplatform.core.loads.plan import CsvFormat, Format
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import DataError, NotFoundError
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.system import SystemSpec
from mlplatform.spec.table import TableSpec

FOLDER = "sample"
Kind = Literal["csv", "jsonl", "parquet"]
KINDS: tuple[Kind, ...] = ("csv", "jsonl", "parquet")


@dataclass(frozen=True)
class SampleFile:
    """One file of sample rows for a table, or of records for a stream."""

    path: Path
    station: str
    kind: Kind

    def read(self) -> bytes:
        """Its content, unpacked."""
        data = self.path.read_bytes()
        return gzip.decompress(data) if self.path.suffix == ".gz" else data


def sample_files(system: SystemSpec, given: Sequence[Path]) -> list[SampleFile]:
    """The files `given`, else those in the system's folder ``sample/``; none = rows are made up.

    A file is named after the table or stream it is for; where there is one table, any name will do.

    Raises:
        NotFoundError: a file is not there.
        DataError: it cannot be told what a file is for, or how to read it.
    """
    folder = system.folder / FOLDER
    kept = sorted(p for p in folder.iterdir() if p.is_file() and p.name[0] != ".") if folder.is_dir() else []
    return [_sample_file(system, path) for path in given or kept]


def _sample_file(system: SystemSpec, path: Path) -> SampleFile:
    if not path.is_file():
        raise NotFoundError(f"There is no file '{path}'.", next_step=f"Look in '{path.absolute().parent}'.")
    stem, _, ending = path.name.partition(".")
    kind = next((k for k in KINDS if ending.removesuffix(".gz").endswith(k)), None)
    if kind is None:
        raise DataError(
            f"'{path}' ends in '.{ending}'; expected {', '.join('.' + k for k in KINDS)}, or one with .gz.",
            next_step="Give the sample in one of these formats.",
        )
    tables = [t.name for t in system.all(TableSpec)]
    names = [*tables, *(s.name for s in system.all(StreamSpec))]
    if stem in names:
        return SampleFile(path, stem, kind)
    if len(tables) != 1:
        raise DataError(
            f"It cannot be told which table of system '{system.name}' the rows of '{path}' are for.",
            next_step=f"Name the file after one: {', '.join(f'{n}.{ending}' for n in names)}.",
        )
    return SampleFile(path, tables[0], kind)


def read_records(file: SampleFile) -> list[dict[str, Any]]:
    """The file's rows as a producer would send them; an empty field of CSV is no value. Raises DataError where it is not readable."""
    data = file.read()
    if file.kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return list(pq.read_table(io.BytesIO(data)).to_pylist())
        except pa.ArrowInvalid as error:
            raise DataError(
                f"'{file.path}' is not readable as Parquet: {error}.",
                next_step="Mend the file, or give another sample.",
            ) from error
    try:
        text = data.decode("utf-8-sig")
        if file.kind == "csv":
            return [{k: v or None for k, v in row.items()} for row in csv.DictReader(io.StringIO(text), strict=True)]
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (UnicodeDecodeError, ValueError, csv.Error) as error:
        raise DataError(
            f"'{file.path}' is not readable as {file.kind}: {error}.",
            next_step="Mend the file, or give another sample.",
        ) from error


def encode_records(rows: Sequence[Mapping[str, Any]], schema: TableSchema) -> list[bytes]:
    """One JSON object a row; a column of type json as what it holds."""
    nested = {c.name for c in schema.columns if c.type == "json"}
    return [
        json.dumps({k: _nested(v) if k in nested else v for k, v in row.items()}, default=str).encode() for row in rows
    ]


def encode_object(rows: Sequence[Mapping[str, Any]], schema: TableSchema, format_: Format) -> bytes:
    """The rows as one object in a source's format; Parquet with every value as text, which a load casts and checks."""
    names = [c.name for c in schema.columns]
    if isinstance(format_, CsvFormat):
        return _encode_csv(rows, names, format_)
    if format_.type == "jsonl":
        return b"".join(line + b"\n" for line in encode_records(rows, schema))
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = {name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in names}
    buffer = io.BytesIO()
    pq.write_table(pa.table(texts), buffer)
    return buffer.getvalue()


def _encode_csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str], format_: CsvFormat) -> bytes:
    buffer = io.StringIO()
    quoting = {"quotechar": format_.quote} if format_.quote else {"quotechar": None, "quoting": csv.QUOTE_NONE}
    writer = csv.writer(buffer, delimiter=format_.delimiter, lineterminator="\n", **quoting)
    if format_.header:
        writer.writerow(names)
    for row in rows:
        texts = (_text(row.get(name)) for name in names)
        writer.writerow([format_.null if text is None else text for text in texts])
    return buffer.getvalue().encode()


def _nested(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)

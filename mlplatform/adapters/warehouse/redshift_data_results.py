"""Results of the Data API: pages of records whose fields name their types, as Python's values and as Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.warehouse.redshift_results import decimals
from mlplatform.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def _bytes(value: Any) -> bytes:
    return bytes.fromhex(value) if isinstance(value, str) else bytes(value)


_READ: Mapping[str, Callable[[Any], Any]] = {
    "bool": bool,
    "int2": int,
    "int4": int,
    "int8": int,
    "float4": float,
    "float8": float,
    "numeric": Decimal,
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "timestamptz": datetime.fromisoformat,
    "varbyte": _bytes,
}
"""By the type that a column's metadata names; every other is a text."""


@dataclass(frozen=True)
class Page:
    """Some rows of a result. `columns`: its metadata, as the API tells it."""

    columns: Sequence[Mapping[str, Any]]
    records: Sequence[Sequence[Mapping[str, Any]]]

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows as the driver would give them."""
        readers = [_READ.get(column["typeName"], str) for column in self.columns]
        return [
            tuple(_value(field, read) for field, read in zip(record, readers, strict=True)) for record in self.records
        ]

    def table(self) -> pa.Table:
        """The rows as Arrow. Duplicate column names stay."""
        import pyarrow as pa

        rows = self.rows()
        values = list(zip(*rows, strict=True)) if rows else [()] * len(self.columns)
        arrays = [_array(found, column) for found, column in zip(values, self.columns, strict=True)]
        return pa.Table.from_arrays(arrays, names=[str(column["label"]) for column in self.columns])


@dataclass(frozen=True)
class Result:
    """A statement that ended. `rowcount`: rows that it returned or wrote; `pages`: reads its rows from the start."""

    rowcount: int
    pages: Callable[[], Iterator[Page]]

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows."""
        return [row for page in self.pages() for row in page.rows()]

    def table(self) -> pa.Table:
        """All rows as Arrow."""
        import pyarrow as pa

        pages = list(self.pages())
        whole = Page(pages[0].columns, [record for page in pages for record in page.records]) if pages else Page((), ())
        return whole.table() if pages else pa.table({})

    def parts(self) -> Iterator[pa.Table]:
        """The rows a page at a time, all of the first one's schema. Raises DataError: they do not fit it."""
        import pyarrow as pa

        schema: pa.Schema | None = None
        for page in self.pages():
            part = page.table()
            schema = schema or part.schema
            try:
                yield part.cast(schema)
            except pa.ArrowInvalid as error:
                raise DataError(f"The query's numbers do not say how many places they have: {error}.") from error


def _value(field: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
    if field.get("isNull"):
        return None
    return read(next(iter(value for name, value in field.items() if name != "isNull")))


def _array(values: tuple[Any, ...], column: Mapping[str, Any]) -> pa.Array[Any]:
    import pyarrow as pa

    kinds: dict[str, pa.DataType] = {
        "bool": pa.bool_(),
        "int2": pa.int16(),
        "int4": pa.int32(),
        "int8": pa.int64(),
        "float4": pa.float32(),
        "float8": pa.float64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
        "timestamptz": pa.timestamp("us", "UTC"),
        "varbyte": pa.binary(),
    }
    name = column["typeName"]
    if name == "numeric":
        return decimals(values, int(column.get("precision", 0)), int(column.get("scale", 0)))
    return pa.array(values, kinds.get(name, pa.string()))

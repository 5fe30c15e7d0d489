"""Rows of HiveServer2 as Arrow tables: it sends columns, typed; what is no number or truth comes as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlplatform.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa


def arrow_table(description: Sequence[Sequence[Any]], batches: Iterable[Any]) -> pa.Table:
    """The driver's column batches as one table. Duplicate column names stay.

    Raises:
        DataError: a column of a type that has no Arrow type here, by name.
    """
    import pyarrow as pa

    kinds = [_kind(column) for column in description]
    names = [column[0] for column in description]
    schema = pa.schema([pa.field(name, kind) for name, kind in zip(names, kinds, strict=True)])
    made = [
        pa.Table.from_arrays([_array(c, kind) for c, kind in zip(batch.columns, kinds, strict=True)], schema=schema)
        for batch in batches
    ]
    if not made:
        return pa.Table.from_arrays([pa.array([], kind) for kind in kinds], schema=schema)
    return pa.concat_tables(made)


def _kind(column: Sequence[Any]) -> pa.DataType:
    import pyarrow as pa

    name, kind, *_, precision, scale, _null = column
    kinds: dict[str, pa.DataType] = {
        "BOOLEAN": pa.bool_(),
        "TINYINT": pa.int8(),
        "SMALLINT": pa.int16(),
        "INT": pa.int32(),
        "BIGINT": pa.int64(),
        "FLOAT": pa.float32(),
        "DOUBLE": pa.float64(),
        "DATE": pa.date32(),
        "TIMESTAMP": pa.timestamp("us"),
        "BINARY": pa.binary(),
        "NULL": pa.null(),
    }
    if kind == "DECIMAL":
        return pa.decimal128(precision, scale)
    if kind in ("STRING", "VARCHAR", "CHAR", "ARRAY", "MAP", "STRUCT"):
        return pa.string()
    found = kinds.get(kind)
    if found is None:
        raise DataError(f"Column '{name}' of the result is of type {kind}.", next_step="CAST it to a plain type.")
    return found


def _array(column: Any, kind: pa.DataType) -> pa.Array[Any]:
    import pyarrow as pa

    values = [None if null else value for value, null in zip(column.values, column.nulls, strict=False)]
    if pa.types.is_string(kind):
        # Nested values come as bytes, text that is no UTF-8 too.
        texts = [v.decode("utf-8", "replace") if isinstance(v, (bytes, bytearray)) else v for v in values]
        return pa.array(texts, kind)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_decimal(kind):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)

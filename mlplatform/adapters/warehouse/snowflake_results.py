"""Results of the driver as Arrow, typed by what Snowflake says of the columns: its batches narrow numbers to what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.warehouse.snowflake_sql import lower
from mlplatform.errors import DataError, UnavailableError

if TYPE_CHECKING:
    import pyarrow as pa

_FIXED, _REAL, _DATE, _LTZ, _TZ, _NTZ, _BINARY, _TIME, _BOOLEAN = 0, 1, 3, 6, 7, 8, 11, 12, 13
_BIGINT_DIGITS, _MOST_DIGITS = 19, 38


def arrow_table(cursor: Any) -> pa.Table:
    """All rows of an executed cursor, as `typed`."""
    schema = arrow_schema(cursor)
    found = cursor.fetch_arrow_all(force_return_table=True, force_microsecond_precision=True)
    check_count(cursor, found.num_rows)
    return typed(found, schema)


def arrow_batches(cursor: Any) -> Iterator[pa.Table]:
    """The rows as Snowflake hands them out, a part at a time, all of `arrow_schema`; one without rows where there are none.

    Raises:
        DataError: a whole number too long for int64.
        UnavailableError: rows are missing.
    """
    schema, rows = arrow_schema(cursor), 0
    for batch in cursor.fetch_arrow_batches(force_microsecond_precision=True):
        made = typed(batch, schema)
        for field, wanted in zip(made.schema, schema, strict=True):
            if field.type != wanted.type:
                raise DataError(
                    f"Column '{field.name}' has a whole number that needs more than 64 bits.",
                    next_step="Cast it to double or varchar in the query.",
                )
        rows += made.num_rows
        yield made
    check_count(cursor, rows)
    if rows == 0:
        yield schema.empty_table()


def check_count(cursor: Any, found: int) -> None:
    """That all rows came which Snowflake said there are: a result comes in chunks, each a download. Raises UnavailableError."""
    if cursor.rowcount is not None and cursor.rowcount not in (-1, found):
        raise UnavailableError(
            f"A result of Snowflake came incomplete: expected {cursor.rowcount} rows, found {found}.",
            next_step="Ask again.",
        )


def typed(found: pa.Table, schema: pa.Schema) -> pa.Table:
    """`found` with the types of `schema`. A column with a whole number that does not fit int64 is decimal128(38, 0)."""
    import pyarrow as pa

    if found.num_rows == 0:
        return schema.empty_table()
    arrays = []
    for number, field in enumerate(schema):
        column = found.column(number)
        try:
            arrays.append(column.cast(field.type, safe=not pa.types.is_timestamp(field.type)))
        except pa.ArrowInvalid:
            arrays.append(column.cast(pa.decimal128(_MOST_DIGITS, 0)))
    return pa.table(arrays, names=schema.names)


def arrow_schema(cursor: Any) -> pa.Schema:
    """Columns of an executed cursor. Duplicate names stay."""
    import pyarrow as pa

    kinds: dict[int, pa.DataType] = {
        _REAL: pa.float64(),
        _DATE: pa.date32(),
        _NTZ: pa.timestamp("us"),
        _LTZ: pa.timestamp("us", "UTC"),
        _TZ: pa.timestamp("us", "UTC"),
        _BINARY: pa.binary(),
        _TIME: pa.time64("us"),
        _BOOLEAN: pa.bool_(),
    }
    fields = []
    for column in cursor.description:
        if column.type_code == _FIXED:
            kind = _fixed(int(column.precision or 0), int(column.scale or 0))
        else:
            kind = kinds.get(column.type_code, pa.string())
        fields.append(pa.field(lower(column.name), kind))
    return pa.schema(fields)


def _fixed(precision: int, scale: int) -> pa.DataType:
    """Snowflake's whole numbers have 38 digits unless their type says fewer."""
    import pyarrow as pa

    if scale == 0 and (precision <= _BIGINT_DIGITS or precision == _MOST_DIGITS):
        return pa.int64()
    return pa.decimal128(precision, scale)

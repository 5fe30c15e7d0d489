"""Rows of the driver as Arrow, typed by what the server says of the columns: all at once, or a part after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.warehouse.redshift_session import RedshiftSession
from mlplatform.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_NUMERIC = 1700

PART_ROWS = 50_000
"""Rows of one FETCH: the driver holds them as Python's values."""


def arrow_table(cursor: Any) -> pa.Table:
    """All rows of an executed cursor. Duplicate column names stay."""
    import pyarrow as pa

    described = cursor.ps["row_desc"]
    rows = cursor.fetchall()
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(described)
    arrays = [
        _array(values, int(column["type_oid"]), int(column["type_modifier"]))
        for column, values in zip(described, columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=[column["label"].decode() for column in described])


def arrow_parts(connection: RedshiftSession, select: str) -> Iterator[pa.Table]:
    """Rows of `select` by a cursor of a transaction, `PART_ROWS` at a time; one part without rows where there are none.

    Raises:
        DataError: later rows of a number without declared places need more of them than the first.
    """
    import pyarrow as pa

    with connection.transaction():
        connection.execute(f"DECLARE parts CURSOR FOR {select}")
        schema: pa.Schema | None = None
        while True:
            part = arrow_table(connection.execute(f"FETCH FORWARD {PART_ROWS} FROM parts"))
            if schema is not None and part.num_rows == 0:
                return
            schema = schema or part.schema
            try:
                yield part.cast(schema)
            except pa.ArrowInvalid as error:
                raise DataError(f"The query's numbers do not say how many places they have: {error}.") from error
            if part.num_rows < PART_ROWS:
                return


def _array(values: tuple[Any, ...], oid: int, modifier: int) -> pa.Array[Any]:
    import pyarrow as pa

    if oid == _NUMERIC:
        # A sum of whole numbers has no modifier.
        return decimals(values, *((0, 0) if modifier < 0 else ((modifier - 4) >> 16, (modifier - 4) & 0xFFFF)))
    kinds = {
        16: pa.bool_(),
        20: pa.int64(),
        21: pa.int16(),
        23: pa.int32(),
        700: pa.float32(),
        701: pa.float64(),
        1082: pa.date32(),
        1114: pa.timestamp("us"),
        1184: pa.timestamp("us", "UTC"),
        6551: pa.binary(),
    }
    kind = kinds.get(oid)
    if kind is None:
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return pa.array(values, kind)


def decimals(values: tuple[Any, ...], precision: int, scale: int) -> pa.Array[Any]:
    """Numbers of that many digits, `scale` of them behind the point; precision 0: nothing says how many."""
    import pyarrow as pa

    if precision <= 0:
        places = max((-v.as_tuple().exponent for v in values if v is not None), default=0)
        return pa.array(values, pa.decimal128(38, max(places, 0)))
    return pa.array(values, pa.decimal128(precision, scale))

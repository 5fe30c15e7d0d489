"""Rows of the driver as an Arrow table, typed by what the server says of the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_NUMERIC = 1700


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


def _array(values: tuple[Any, ...], oid: int, modifier: int) -> pa.Array[Any]:
    import pyarrow as pa

    if oid == _NUMERIC:
        return _decimals(values, modifier)
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


def _decimals(values: tuple[Any, ...], modifier: int) -> pa.Array[Any]:
    import pyarrow as pa

    if modifier < 0:
        # A sum of whole numbers; or nothing that says how many places there are.
        places = max((-v.as_tuple().exponent for v in values if v is not None), default=0)
        return pa.array(values, pa.decimal128(38, max(places, 0)))
    precision, scale = (modifier - 4) >> 16, (modifier - 4) & 0xFFFF
    return pa.array(values, pa.decimal128(precision, scale))

"""A frame's types as a table's: which column type each becomes, as data, and the statements that make an empty table for it.

For tables that people fill themselves from a frame; a system reads such a table as one that others load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mlplatform.core.sql import identifier
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import DataError


class FrameType(NamedTuple):
    """What a frame's types become whose names begin with `frame`: in SQL, and among the platform's logical types."""

    frame: str
    sql: str
    logical: str


FRAME_TYPES = (
    FrameType("int", "int", "bigint"),
    FrameType("uint", "int", "bigint"),
    FrameType("float", "float8", "double"),
    FrameType("bool", "boolean", "boolean"),
    FrameType("datetime64", "datetime", "timestamp"),
)
OTHERWISE = FrameType("", "varchar", "varchar")


def frame_type(dtype: object) -> FrameType:
    """The entry of a frame's type (``int64``, ``Float64``, ``datetime64[ns, UTC]``, ``object`` …)."""
    name = str(dtype).lower()
    return next((found for found in FRAME_TYPES if name.startswith(found.frame)), OTHERWISE)


def frame_schema(table: str, dtypes: Mapping[str, object]) -> TableSchema:
    """The table's schema, its columns in lower case as a YAML has them. Raises DataError where two names become one."""
    columns = [Column(name, frame_type(dtype).logical) for name, dtype in _cased(table, dtypes, str.lower).items()]
    return TableSchema(table, tuple(columns))


def frame_ddl(table: str, dtypes: Mapping[str, object]) -> tuple[str, str]:
    """Make the table where it is missing, and empty it; names in upper case, as Snowflake keeps those without quotes.

    Raises:
        DataError: two columns' names become one.
    """
    name = identifier(table.upper())
    columns = [f"{identifier(c)} {frame_type(dtype).sql}" for c, dtype in _cased(table, dtypes, str.upper).items()]
    return f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(columns)})", f"TRUNCATE TABLE {name}"


def _cased(table: str, dtypes: Mapping[str, object], case: Callable[[str], str]) -> dict[str, object]:
    cased = {case(str(name)): dtype for name, dtype in dtypes.items()}
    if len(cased) < len(dtypes):
        raise DataError(f"Two columns of '{table}' differ in upper and lower case only.", next_step="Rename one.")
    return cased

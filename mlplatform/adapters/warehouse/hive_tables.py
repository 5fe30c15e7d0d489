"""Tables in Hive as a schema wants them. Files never change: another schema gets another folder, and what was written
before is read with its values cast, and NULL for columns that it has not.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlplatform.adapters.warehouse.hive_log import Columns, State, Table, folder_of, table_of, with_folder
from mlplatform.adapters.warehouse.hive_sql import sql_type
from mlplatform.adapters.warehouse.sql_tables import WIDENED
from mlplatform.core.tables import evolution
from mlplatform.core.tables.schema import PROVENANCE, TableSchema
from mlplatform.errors import ConflictError, NotFoundError

_PROVENANCE: Columns = tuple(zip(PROVENANCE, ("varchar", "varchar", "varchar", "timestamp"), strict=True))


def columns_of(schema: TableSchema) -> Columns:
    """Columns of the files that a load with this schema writes."""
    return (*((column.name, column.type) for column in schema.columns), *_PROVENANCE)


def created(state: State, schema: TableSchema) -> Table | None:
    """The table as the schema wants it; None where it is so already. Raises ConflictError, see `core.tables.evolution`."""
    found = state.tables.get(schema.name)
    own = columns_of(schema)
    if found is None:
        return table_of(schema.name, own)
    new, wider = evolution.changes(schema, dict(found.columns), same=_same, widens=_widens)
    folder = folder_of(schema.name, own)
    if not new and not wider and folder in found.folders:
        return None
    kinds = {**dict(found.columns), **{column.name: column.type for column in (*new, *wider)}}
    names = [name for name in kinds if name not in PROVENANCE]
    columns = tuple((name, kinds[name]) for name in (*names, *PROVENANCE))
    made = with_folder(Table(columns, found.folders), folder, own)
    return with_folder(made, folder_of(schema.name, columns), columns)


def loaded(state: State, schema: TableSchema) -> Mapping[str, Table]:
    """What a load with the schema changes of the tables: nothing, or that there are files of one more kind.

    Raises:
        NotFoundError, ConflictError: the table is not there, or has not all the schema's columns.
    """
    found, own = state.tables.get(schema.name), columns_of(schema)
    if found is None:
        raise NotFoundError(f"The warehouse has no table '{schema.name}'.", next_step="Create it first.")
    folder = folder_of(schema.name, own)
    if folder in found.folders:
        return {}
    kinds = dict(found.columns)
    for name, kind in own:
        if name not in kinds or not (_same(kind, kinds[name]) or _widens(kind, kinds[name])):
            there = f"{kinds[name]}" if name in kinds else "not there"
            raise ConflictError(
                f"Column '{name}' of table '{schema.name}' is {there}, expected {kind}.", next_step="Create it first."
            )
    return {schema.name: with_folder(found, folder, own)}


def _same(a: str, b: str) -> bool:
    return sql_type(a) == sql_type(b)


def _widens(found: str, declared: str) -> bool:
    """Whether every value of type `found` is one of type `declared`."""
    if declared == "varchar":
        return found != "blob"
    return evolution.widens_decimal(found, declared) or (found, declared) in WIDENED

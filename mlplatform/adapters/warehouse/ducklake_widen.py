"""Columns of a wider type: the rows are written anew beside the table, which takes them in one transaction."""

from __future__ import annotations

import secrets

from mlplatform.adapters.warehouse.ducklake_commit import LostRaceError, add_file, read_guards, transaction
from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform.adapters.warehouse.ducklake_tables import columns_of, recast
from mlplatform.adapters.warehouse.staging.job import copy_parquet, sql_type
from mlplatform.core.loads.guards import LOADS
from mlplatform.core.sql import identifier, literal
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import BugError


def widen(engine: DuckLakeEngine, schema: TableSchema, wider: list[Column]) -> None:
    """Gives `wider` columns their declared type. Older versions of the table stay readable with the old one.

    Raises:
        LostRaceError: the table was loaded into meanwhile; nothing was changed.
    """
    writer = engine.writer()
    before = read_guards(writer, schema.name, (LOADS,)).get(LOADS)
    if before is None:
        raise BugError(f"Table '{schema.name}' has no counter of loads.")
    found = columns_of(writer, schema.name)
    table, old = (f"w.main.{identifier(name)}" for name in (schema.name, f"{schema.name}__old"))
    file = engine.draft_folder(schema.name) / f"widened-{secrets.token_hex(8)}.parquet"
    rows = copy_parquet(writer, f"SELECT {recast(found, wider)} FROM {table}", file)
    location = engine.publish(schema.name, file) if rows else ""
    kinds = {**found, **{c.name: sql_type(c) for c in wider}}

    def body() -> None:
        still = writer.execute(
            f"UPDATE w.main._guards SET last = last WHERE table_name = {literal(schema.name)} "
            f"AND shard = {literal(LOADS)} AND last = {literal(before.last)}"
        ).fetchone()
        if still is None or still[0] != 1:
            raise LostRaceError
        writer.execute(f"ALTER TABLE {table} RENAME TO {identifier(f'{schema.name}__old')}")
        writer.execute(
            f"CREATE TABLE {table} ({', '.join(f'{identifier(name)} {kind}' for name, kind in kinds.items())})"
        )
        if rows:
            add_file(writer, schema.name, location)
        writer.execute(f"DROP TABLE {old}")

    try:
        with engine.place.turn():
            transaction(writer, body)
    except LostRaceError:
        engine.withdraw(schema.name, file)
        raise
    if rows:
        engine.place.committed(file)
    else:
        file.unlink(missing_ok=True)

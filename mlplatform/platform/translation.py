"""A feature query as the engine behind a connection would be sent it, said without that engine at hand."""

from __future__ import annotations

from mlplatform.spec.profile import Connection


def translated(connection: Connection, sql: str, *, system: str) -> str:
    """`sql`, which is in DuckDB's dialect, in that of the connection's warehouse.

    Raises:
        DataError: it says what that dialect cannot.
    """
    if connection.adapter == "hive":
        from mlplatform.adapters.warehouse import hive_sql

        return hive_sql.canonical(
            sql, (), schema=connection.settings.get("database") or system, relation=lambda _: None
        )
    schema = f"{connection.settings.get('schema_prefix', '')}{system}"
    if connection.adapter == "redshift":
        from mlplatform.adapters.warehouse import redshift_sql

        return redshift_sql.select_sql(sql, schema)
    if connection.adapter == "snowflake":
        from mlplatform.adapters.warehouse import snowflake_sql

        return snowflake_sql.select_sql(sql, schema)
    return sql

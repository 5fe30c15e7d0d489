"""Views of a system's tables in the server's catalogue, for whoever else reads there: they look into the log themselves.

A view's text changes with the table's columns only. What it shows is what was committed when it is read: parts that the
newest checkpoint or a commit behind it names, without those that a commit behind it takes out.
"""

from __future__ import annotations

from mlplatform.adapters.warehouse.hive_connection import HiveConnection
from mlplatform.adapters.warehouse.hive_log import Table
from mlplatform.adapters.warehouse.hive_parts import PART, HiveParts
from mlplatform.adapters.warehouse.hive_sql import quoted

_ENTRY = (
    "added ARRAY<STRUCT<id: STRING, folder: STRING>>, parts ARRAY<STRUCT<id: STRING, folder: STRING>>, "
    "removed ARRAY<STRING>, position BIGINT"
)


def publish(connection: HiveConnection, parts: HiveParts, database: str, name: str, table: Table, log: str) -> None:
    """Makes or replaces the view of the table; `log`: where the log lies in the store."""
    for folder, columns in table.folders.items():
        parts.begin(folder, columns)
    connection.run(f"CREATE DATABASE IF NOT EXISTS {quoted(database)}", subject=f"Database '{database}'")
    connection.run(view_sql(parts, database, name, table, log), subject=f"View of table '{name}'")


def view_sql(parts: HiveParts, database: str, name: str, table: Table, log: str) -> str:
    """The statement. A commit's position stands in its object's name, a checkpoint's in the state that it holds."""
    entries = (
        f"SELECT CAST(regexp_extract(_metadata.file_name, '^([0-9]+)', 1) AS BIGINT) AS at, "
        f"from_json(value, '{_ENTRY}') AS e FROM {parts.texts(log)}"
    )
    folders = " UNION ALL ".join(parts.whole(table, folder) for folder in table.folders)
    return (
        f"CREATE OR REPLACE VIEW {quoted(database)}.{quoted(name)} AS WITH log AS ({entries}), "
        "base AS (SELECT coalesce(max(at), 0) AS at FROM log WHERE e.position IS NOT NULL), "
        "behind AS (SELECT log.e FROM log CROSS JOIN base WHERE log.at > base.at), "
        "held AS (SELECT inline(e.parts) FROM log JOIN base ON log.at = base.at WHERE e.position IS NOT NULL "
        "UNION ALL SELECT inline(e.added) FROM behind), "
        "gone AS (SELECT explode(e.removed) AS id FROM behind) "
        f"SELECT {', '.join(quoted(column) for column, _ in table.columns)} FROM ({folders}) AS r "
        f"WHERE r.{PART} IN (SELECT id FROM held) AND r.{PART} NOT IN (SELECT id FROM gone)"
    )

"""Spark behind HiveServer2 by the driver alone: CREATE TABLE … AS SELECT, INSERT OVERWRITE DIRECTORY, the driver's columns."""

from __future__ import annotations

from typing import Any

from benchmarks.warehouses.bare.engine import serve
from benchmarks.warehouses.data import SELECT
from benchmarks.warehouses.place import Place


class BareHive:
    """One session with a database of its own."""

    def __init__(self, place: Place) -> None:
        from impala.dbapi import connect

        self._place = place
        session = connect(host=place.settings["host"], port=place.settings["port"], auth_mechanism="PLAIN", user="bare")
        self._cursor = session.cursor(user="bare", convert_types=False)
        self._cursor.set_arraysize(50_000)
        self._cursor.execute("CREATE DATABASE IF NOT EXISTS bare")
        self._cursor.execute("USE bare")

    def prepare(self, table: str) -> None:
        self._cursor.execute(f"DROP TABLE IF EXISTS {table}")

    def load(self, table: str, key: str) -> None:
        self._cursor.execute(
            f"CREATE TABLE {table} USING parquet AS SELECT * FROM parquet.`file://{self._place.file(key)}`"  # noqa: S608 - from here
        )

    def count(self, table: str) -> int:
        self._cursor.execute(f"SELECT count(*) AS n FROM {table}")  # noqa: S608 - from here
        return int(self._cursor.fetchall()[0][0])

    def unload(self, table: str, prefix: str) -> int:
        import pyarrow.parquet as pq

        target = self._place.file(prefix)
        self._cursor.execute(f"INSERT OVERWRITE DIRECTORY 'file://{target}' USING parquet {SELECT}{table}")
        return sum(pq.read_metadata(part).num_rows for part in target.glob("*.parquet"))

    def read(self, sql: str) -> int:
        import pyarrow as pa

        self._cursor.execute(sql)
        names = [column[0] for column in self._cursor.description]
        tables = [pa.table(_arrays(batch), names=names) for batch in self._cursor.fetchcolumnar()]
        return pa.concat_tables(tables).num_rows


def _arrays(batch: Any) -> list[Any]:
    """Columns as Arrow; the rows have no NULL, and dates come as text in the last one."""
    import pyarrow as pa

    found = [pa.array(column.values) for column in batch.columns]
    return [*found[:-1], found[-1].cast(pa.date32())]


if __name__ == "__main__":
    serve(BareHive)

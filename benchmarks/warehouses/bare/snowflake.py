"""Snowflake by its own driver: PUT and COPY INTO; the driver's Arrow batches, and pyarrow to write them."""

from __future__ import annotations

import os

from benchmarks.warehouses.bare.engine import serve
from benchmarks.warehouses.data import SELECT
from benchmarks.warehouses.place import Place
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings


class BareSnowflake:
    """One session with a schema and a stage of its own."""

    def __init__(self, place: Place) -> None:
        import snowflake.connector

        self._place = place
        settings = SnowflakeSettings.model_validate(place.settings)
        self._connection = snowflake.connector.connect(
            **settings.arguments(schema="BARE"), **settings.credentials(EnvironmentSecrets(os.environ))
        )
        self._cursor = self._connection.cursor()
        for sql in ("CREATE SCHEMA IF NOT EXISTS BARE", "USE SCHEMA BARE", "CREATE TEMPORARY STAGE loading"):
            self._cursor.execute(sql)

    def prepare(self, table: str) -> None:
        self._cursor.execute(
            f"CREATE TABLE {table} (ticker_symbol VARCHAR NOT NULL, sector VARCHAR NOT NULL, change FLOAT, "
            "price FLOAT NOT NULL, trading_day DATE NOT NULL)"
        )

    def load(self, table: str, key: str) -> None:
        file = self._place.file(key)
        self._cursor.execute(f"PUT 'file://{file}' @loading AUTO_COMPRESS = FALSE OVERWRITE = TRUE")
        self._cursor.execute(
            f"COPY INTO {table} FROM @loading/{file.name} FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE) "
            "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
        )

    def count(self, table: str) -> int:
        self._cursor.execute(f"SELECT COUNT(*) FROM {table}")  # noqa: S608 - from here
        ((rows,),) = self._cursor.fetchall()
        return int(rows)

    def unload(self, table: str, prefix: str) -> int:
        import pyarrow.parquet as pq

        target = self._place.file(f"{prefix}part.parquet")
        target.parent.mkdir(parents=True)
        self._cursor.execute(SELECT + table)
        rows, writer = 0, None
        for batch in self._cursor.fetch_arrow_batches(force_microsecond_precision=True):
            writer = writer or pq.ParquetWriter(target, batch.schema)
            writer.write_table(batch)
            rows += batch.num_rows
        if writer is not None:
            writer.close()
        return rows

    def read(self, sql: str) -> int:
        self._cursor.execute(sql)
        return int(self._cursor.fetch_arrow_all(force_return_table=True, force_microsecond_precision=True).num_rows)


if __name__ == "__main__":
    serve(BareSnowflake)

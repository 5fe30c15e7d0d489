"""Redshift by its own driver: COPY from S3, UNLOAD to it, and the driver's data frame as Arrow."""

from __future__ import annotations

import json
import os

from benchmarks.warehouses.bare.engine import serve
from benchmarks.warehouses.data import SELECT
from benchmarks.warehouses.place import Place


class BareRedshift:
    """One session with a schema of its own."""

    def __init__(self, place: Place) -> None:
        import boto3
        import redshift_connector

        self._place = place
        self._s3 = boto3.client(
            "s3",
            endpoint_url=place.store_settings["endpoint_url"],
            region_name=place.store_settings["region"],
        )
        password = os.environ["MLPLATFORM_SECRET_REDSHIFT_PASSWORD"]
        connection = redshift_connector.connect(**place.settings, password=password)
        connection.autocommit = True
        self._cursor = connection.cursor()
        self._cursor.execute("CREATE SCHEMA IF NOT EXISTS bare")
        self._cursor.execute("SET search_path TO bare")

    def prepare(self, table: str) -> None:
        self._cursor.execute(
            f"CREATE TABLE {table} (ticker_symbol VARCHAR(65535) NOT NULL, sector VARCHAR(65535) NOT NULL, "
            "change DOUBLE PRECISION, price DOUBLE PRECISION NOT NULL, trading_day DATE NOT NULL)"
        )

    def load(self, table: str, key: str) -> None:
        self._cursor.execute(f"COPY {table} FROM '{self._place.url(key)}' IAM_ROLE DEFAULT FORMAT AS PARQUET")

    def count(self, table: str) -> int:
        ((rows,),) = self._cursor.execute(f"SELECT COUNT(*) FROM {table}").fetchall()  # noqa: S608 - from here
        return int(rows)

    def unload(self, table: str, prefix: str) -> int:
        to = f"{prefix}part-"
        self._cursor.execute(
            f"UNLOAD ('{SELECT}bare.{table}') TO '{self._place.url(to)}' IAM_ROLE DEFAULT FORMAT AS PARQUET MANIFEST VERBOSE"
        )
        key = self._place.url(f"{to}manifest").removeprefix(f"s3://{self._place.store_settings['bucket']}/")
        body = self._s3.get_object(Bucket=self._place.store_settings["bucket"], Key=key)["Body"].read()
        return sum(int(entry["meta"]["record_count"]) for entry in json.loads(body)["entries"])

    def read(self, sql: str) -> int:
        import pyarrow as pa

        self._cursor.execute(sql)
        return int(pa.Table.from_pandas(self._cursor.fetch_dataframe(), preserve_index=False).num_rows)


if __name__ == "__main__":
    serve(BareRedshift)

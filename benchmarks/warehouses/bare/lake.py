"""A DuckLake by DuckDB alone: INSERT … SELECT FROM read_parquet, COPY TO, and DuckDB's Arrow table."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from benchmarks.warehouses.data import SELECT
from benchmarks.warehouses.place import Place
from mlplatform.adapters.warehouse.ducklake_place import LakePlace

COLUMNS = (
    "ticker_symbol VARCHAR NOT NULL, sector VARCHAR NOT NULL, change DOUBLE, price DOUBLE NOT NULL, "
    "trading_day DATE NOT NULL"
)


class BareLake:
    """One connection with a lake of its own, whose catalogue and data files lie where the platform's would."""

    def __init__(self, place: Place, lake: LakePlace) -> None:
        import duckdb

        self._place = place
        self._connection = duckdb.connect()
        for name in ("ducklake", *lake.extensions):
            self._connection.execute(f"LOAD '{extension(name, duckdb.__version__)}'")
        lake.prepare()
        for secret in (*lake.secrets(), *_reach(place)):
            self._connection.execute(secret)
        self._connection.execute(f"ATTACH '{lake.source()}' AS w ({', '.join(lake.options())})")
        self._connection.execute("USE w")

    def prepare(self, table: str) -> None:
        self._connection.execute(f"CREATE TABLE {table} ({COLUMNS})")

    def load(self, table: str, key: str) -> None:
        self._number(f"INSERT INTO {table} SELECT * FROM read_parquet('{self._place.url(key)}')")  # noqa: S608 - from here

    def count(self, table: str) -> int:
        return self._number(f"SELECT count(*) FROM {table}")  # noqa: S608 - from here

    def unload(self, table: str, prefix: str) -> int:
        target = self._place.url(f"{prefix}part.parquet")
        if "://" not in target:
            Path(target).parent.mkdir(parents=True)
        return self._number(f"COPY ({SELECT}{table}) TO '{target}' (FORMAT parquet)")

    def read(self, sql: str) -> int:
        return int(self._connection.execute(sql).to_arrow_table().num_rows)

    def _number(self, sql: str) -> int:
        done = self._connection.execute(sql).fetchone()
        return int(done[0]) if done else 0


def extension(name: str, version: str) -> Path:
    """Where the package of a DuckDB extension has it."""
    spec = find_spec(f"duckdb_extension_{name}")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"There is no package duckdb-extension-{name.replace('_', '-')}.")
    return Path(spec.submodule_search_locations[0]) / "extensions" / f"v{version}" / f"{name}.duckdb_extension"


def _reach(place: Place) -> tuple[str, ...]:
    """What lets DuckDB reach the object store, where it is S3."""
    if place.store != "s3":
        return ()
    settings = place.store_settings
    return (
        f"CREATE SECRET bare_objects (TYPE s3, KEY_ID '{os.environ['AWS_ACCESS_KEY_ID']}', "
        f"SECRET '{os.environ['AWS_SECRET_ACCESS_KEY']}', REGION '{settings['region']}', "
        f"ENDPOINT '{settings['endpoint_url'].removeprefix('http://')}', URL_STYLE 'path', USE_SSL false)",
    )

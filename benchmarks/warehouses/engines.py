"""The engines as they are started: the platform's own test servers, none of them the service itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks.warehouses.place import Place


@contextlib.contextmanager
def ducklake(folder: Path) -> Iterator[Place]:
    """Nothing to start."""
    yield Place(
        "ducklake",
        {},
        **_folder_store(folder),
        **_LAKE,
        note="DuckLake: itself; catalogue, data files and objects lie on this machine's disk",
    )


@contextlib.contextmanager
def ducklake_team(folder: Path) -> Iterator[Place]:
    """PostgreSQL and ministack."""
    from mlplatform_tests.servers.redshift.postgres import PASSWORD, USER, postgres

    with _s3(folder) as (settings, env, _), postgres() as server:
        lake = {"host": "127.0.0.1", "port": server.port, "database": "postgres", "user": USER, "prefix": "lake"}
        lake |= {name: settings[name] for name in ("bucket", "region", "endpoint_url")}
        yield Place(
            "ducklake",
            lake,
            store="s3",
            store_settings=settings,
            home=str(_made(folder / "home")),
            **_LAKE,
            note="DuckLake of a team: PostgreSQL on this machine, and ministack, one process, for S3, so that no network "
            "is between and no bucket is as fast as S3",
            env={**env, "MLPLATFORM_SECRET_DUCKLAKE_PASSWORD": PASSWORD},
        )


@contextlib.contextmanager
def redshift(folder: Path) -> Iterator[Place]:
    """PostgreSQL behind a proxy, and ministack."""
    from mlplatform_tests.servers.redshift.server import redshift as started

    with _s3(folder) as (settings, env, client), started(client) as server:
        yield Place(
            "redshift",
            server.settings,
            store="s3",
            store_settings=settings,
            home=str(_made(folder / "home")),
            loader="COPY FROM s3 (Parquet)",
            unloader="UNLOAD to s3 (Parquet)",
            reader="the driver's fetch_dataframe, as Arrow",
            note="Redshift: PostgreSQL on this machine stands in for the service, behind a proxy that runs COPY and UNLOAD "
            "row by row in Python; the driver has no Arrow fetch, so that its data frame stands beside our read",
            env={**env, **server.secrets},
        )


@contextlib.contextmanager
def hive(folder: Path, *, executors: int = 0) -> Iterator[Place]:
    """The Spark Thrift Server: two threads of one process, or so many executor processes with a core each."""
    from mlplatform_tests.servers.hive.server import hive as started

    store = _folder_store(folder)
    master = f"local-cluster[{executors},1,1024]" if executors else "local[2]"
    tuned = {"spark.sql.shuffle.partitions": "4"}
    if executors:
        tuned["spark.sql.files.openCostInBytes"] = str(128 * 1024 * 1024)  # a part is a task, however small
    with started(_made(folder / "server"), master=master, tuned=tuned) as server:
        settings = {"adapter": store["store"], "settings": store["store_settings"]}
        yield Place(
            "hive",
            {**server.settings, "store": settings},
            **store,
            loader="CREATE TABLE … AS SELECT FROM parquet",
            unloader="INSERT OVERWRITE DIRECTORY (Parquet)",
            reader="the driver's columns (fetchcolumnar), as Arrow",
            note="Hive: the Spark Thrift Server on this machine, its files on this machine's disk; no cluster and no "
            "object store's network is between",
        )


@contextlib.contextmanager
def snowflake(folder: Path) -> Iterator[Place]:
    """fakesnow."""
    from mlplatform_tests.servers.snowflake.server import snowflake as started

    with started(_made(folder / "server")) as server:
        yield Place(
            "snowflake",
            server.settings,
            **_folder_store(folder),
            loader="PUT and COPY INTO",
            unloader="the driver's Arrow batches, written by pyarrow",
            reader="the driver's fetch_arrow_all",
            note="Snowflake: fakesnow on this machine stands in for the service, and keeps a stage's files itself; it "
            "cannot unload to a stage, so that the driver's batches stand beside our unload",
            env=server.secrets,
        )


ENGINES: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "ducklake": ducklake,
    "ducklake-team": ducklake_team,
    "hive": hive,
    "redshift": redshift,
    "snowflake": snowflake,
}
"""Name → starts it; `folder` takes all its files."""

_LAKE: dict[str, Any] = {
    "loader": "INSERT … SELECT FROM read_parquet",
    "unloader": "COPY TO (Parquet)",
    "reader": "DuckDB's to_arrow_table",
}


@contextlib.contextmanager
def _s3(folder: Path) -> Iterator[tuple[dict[str, Any], dict[str, str], Any]]:
    """Settings of an object store in a new bucket, the environment that reaches it, and a client of the server."""
    import boto3

    from mlplatform_tests.servers.ministack.server import ministack

    with ministack(_made(folder / "s3")) as server:
        options = server.client_options
        client = boto3.client("s3", **options)
        client.create_bucket(Bucket="bench")
        settings = {"bucket": "bench", "prefix": "objects"}
        settings |= {"endpoint_url": options["endpoint_url"], "region": options["region_name"]}
        env = {
            "AWS_ACCESS_KEY_ID": options["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": options["aws_secret_access_key"],
        }
        try:
            yield settings, env, client
        finally:
            client.close()


def _folder_store(folder: Path) -> dict[str, Any]:
    return {
        "store": "directory",
        "store_settings": {"path": str(_made(folder / "objects"))},
        "home": str(_made(folder / "home")),
    }


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder

"""How each warehouse comes to be one case of the suite: empty, on servers of the session where it needs any.

The suite runs on any other too: ``MLPLATFORM_TEST_WAREHOUSES=name=module`` takes the function `case` of that module.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.spec.profile import Connection
from mlplatform_tests.conformance.warehouse_servers import HiveServer, RedshiftServer, SnowflakeServer, TeamServer
from mlplatform_tests.conformance.warehouses import SYSTEM, Case, Source

Keep = Callable[[Any], Any]
"""Gives back the warehouse or store that it is given, which is closed when the test has ended."""


def ducklake(request: pytest.FixtureRequest, folder: Path, keep: Keep) -> Case:
    shared = request.getfixturevalue("shared_ducklake")
    root = shared.engine.root
    return Case(
        "ducklake",
        shared.empty(),
        DirectoryObjectStore(folder / "objects"),
        lambda: keep(DuckLakeWarehouse(root, threads=2)),
        source=Source("ducklake", {}, SYSTEM, _folder(folder), root.parents[1]),
    )


def ducklake_team(request: pytest.FixtureRequest, folder: Path, keep: Keep) -> Case:
    lake, system = request.getfixturevalue("team_lake"), _system()
    opener = lake.opener(folder / "lake", system)
    settings = lake.settings().model_dump()
    return Case(
        "ducklake-team",
        keep(opener()),
        DirectoryObjectStore(folder / "objects"),
        lambda: keep(opener()),
        server=TeamServer(lake, system, folder / "lake", keep),
        source=Source("ducklake", settings, system, _folder(folder), folder / "home", lake.secrets),
    )


def redshift(request: pytest.FixtureRequest, folder: Path, keep: Keep) -> Case:
    from mlplatform_tests.conformance.object_stores import s3_store
    from mlplatform_tests.conformance.redshift_warehouse import redshift_warehouse

    server, objects = request.getfixturevalue("redshift_server"), request.getfixturevalue("ministack_server")
    store = keep(s3_store(objects))
    first = keep(redshift_warehouse(server))
    bucket, _, prefix = store.url("").removeprefix("s3://").partition("/")
    options = objects.client_options
    settings = {"bucket": bucket, "prefix": prefix, "endpoint_url": options["endpoint_url"]}
    connection = Connection(port="object_store", adapter="s3", settings={**settings, "region": options["region_name"]})
    keys = {name.upper(): options[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    return Case(
        "redshift",
        first,
        store,
        lambda: keep(redshift_warehouse(server, first.system)),
        server=RedshiftServer(server, first.system, keep),
        source=Source("redshift", server.settings, first.system, connection, folder, {**server.secrets, **keys}),
    )


def redshift_data_api(request: pytest.FixtureRequest, folder: Path, keep: Keep) -> Case:
    """By requests to AWS instead of by the driver: all that is Redshift's own is shown with that."""
    from mlplatform_tests.servers.redshift.data_api_case import case

    return case(request, folder, keep)


def snowflake(request: pytest.FixtureRequest, folder: Path, keep: Keep) -> Case:
    from mlplatform_tests.conformance.snowflake_warehouse import snowflake_warehouse

    account = request.getfixturevalue("snowflake_server")
    first = keep(snowflake_warehouse(account))
    return Case(
        "snowflake",
        first,
        DirectoryObjectStore(folder / "objects"),
        lambda: keep(snowflake_warehouse(account, first.system)),
        server=SnowflakeServer(account, first.system, keep),
        source=Source("snowflake", account.settings, first.system, _folder(folder), folder, account.secrets),
    )


def hive(request: pytest.FixtureRequest, folder: Path, keep: Keep) -> Case:
    from mlplatform_tests.conformance.hive_warehouse import hive_warehouse

    spark, rows = request.getfixturevalue("hive_server"), folder / "hive"
    first = keep(hive_warehouse(spark, rows))
    place = Connection(port="object_store", adapter="directory", settings={"path": str(rows)})
    settings = {**first.settings.model_dump(), "store": {"adapter": place.adapter, "settings": place.settings}}
    return Case(
        "hive",
        first,
        DirectoryObjectStore(folder / "objects", settle_s=0.0),
        lambda: keep(hive_warehouse(spark, rows, first.system)),
        # Spark's nested loops never look whether they were cancelled.
        "SELECT count(*) AS n FROM range(1000000000000) AS r(i) WHERE i % 7 = 3",
        server=HiveServer(spark, rows, first.system, keep),
        source=Source("hive", settings, first.system, _folder(folder), folder, spark.secrets),
    )


def _folder(folder: Path) -> Connection:
    return Connection(port="object_store", adapter="directory", settings={"path": str(folder / "objects")})


def _system() -> str:
    return f"s{uuid.uuid4().hex[:12]}"


CASES: dict[str, Callable[[pytest.FixtureRequest, Path, Keep], Case]] = {
    "ducklake": ducklake,
    "ducklake-team": ducklake_team,
    "redshift": redshift,
    "redshift-data-api": redshift_data_api,
    "snowflake": snowflake,
    "hive": hive,
}


def made_case(name: str, request: pytest.FixtureRequest, folder: Path, keep: Keep) -> Case:
    """The case called `name`, or of the module that is named behind it."""
    _, _, module = name.partition("=")
    found: Case = (import_module(module).case if module else CASES[name])(request, folder, keep)
    return found

"""A profile's connection gives the warehouse over the store that it names; settings that are none are refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.hive import HiveWarehouse
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import ProfileError
from mlplatform.platform.connections import warehouse
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.home import Home
from mlplatform.spec.profile import Connection


def opened(folder: Path, **settings: Any) -> Warehouse:
    store = {"adapter": "directory", "settings": {"path": str(folder / "lake")}}
    connection = Connection(port="warehouse", adapter="hive", settings={"host": "h", "store": store, **settings})
    return warehouse(connection, Home(folder / "home"), "shop", lambda: EnvironmentSecrets({}))


def test_tables_lie_in_the_store_that_the_connection_names(tmp_path: Path) -> None:
    found = opened(tmp_path, views=False, prefix="tables/")
    assert isinstance(found, HiveWarehouse)
    found.create(TableSchema("sales", (Column("id", "bigint"),)))
    assert found.guard("sales", "objects/in/").epoch == 0
    commits = sorted(path.name for path in (tmp_path / "lake" / "tables" / "shop" / "_commits").iterdir())
    assert commits == [f"{1:020d}.json", f"{2:020d}.json"]


def test_a_store_that_the_platform_has_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="no adapter 'ftp' for a object_store"):
        opened(tmp_path, store={"adapter": "ftp"})


def test_a_setting_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"(?s)warehouse connection \(hive\) are wrong.*hosst"):
        opened(tmp_path, hosst="h")

"""How long a stream's delivery waits for the sake of the warehouse that loads it: each landing object is an append there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

import mlplatform
from mlplatform.platform import SystemStations, open_platform

LOCAL = Path(mlplatform.__path__[0]).parent / "profiles" / "local.yaml"
SNOWFLAKE = {"account": "a", "user": "u", "database": "d"}
HIVE = {"host": "h"}


@contextmanager
def system(
    folder: Path, adapter: str, settings: dict[str, Any], *, connection: str = "warehouse", age_s: float = 1.0
) -> Iterator[SystemStations]:
    """A stream and the table that it fills, over a warehouse that is only ever asked what it can do."""
    delivery = {"prefix": "shop/stream/", "max_age_s": age_s}
    stream = {"name": "ticks", "partition_key": "ticker", "delivery": delivery}
    table = {
        "name": "prices",
        "connection": connection,
        "columns": [{"name": "ticker"}],
        "sources": [{"stream": "ticks"}],
    }
    documents = [{"type": "mlplatform.Stream", "attributes": stream}, {"type": "mlplatform.Table", "attributes": table}]
    (folder / "defs" / "shop").mkdir(parents=True)
    (folder / "defs" / "shop" / "defs.yaml").write_text(yaml.safe_dump_all(documents))
    (folder / "pyproject.toml").write_text("[tool.dg.project]\n")
    profile = yaml.safe_load(LOCAL.read_text())
    profile["name"] = "bound"
    profile["connections"]["warehouse"] = {"port": "warehouse", "adapter": adapter, "settings": settings}
    (folder / "profiles").mkdir()
    (folder / "profiles" / "bound.yaml").write_text(yaml.safe_dump(profile))
    env = {
        "MLPLATFORM_HOME": str(folder / "home"),
        "MLPLATFORM_DEFS": str(folder / "defs"),
        "MLPLATFORM_PROFILE": "bound",
    }
    with closing(open_platform(env)) as platform:
        yield platform.system("shop")


@pytest.mark.parametrize(
    ("adapter", "settings", "age_s", "waits_s"),
    [
        ("ducklake", {}, 1.0, 1.0),
        ("snowflake", SNOWFLAKE, 1.0, 60.0),
        ("snowflake", {**SNOWFLAKE, "min_batch_interval_s": 5}, 1.0, 5.0),
        ("redshift", {"host": "h", "user": "u", "min_batch_interval_s": 7}, 1.0, 7.0),
        ("hive", HIVE, 1.0, 60.0),
        ("hive", {**HIVE, "min_batch_interval_s": 0}, 1.0, 1.0),
        ("hive", HIVE, 300.0, 300.0),
    ],
)
def test_a_record_waits_as_long_as_the_warehouse_wants_between_appends(
    adapter: str, settings: dict[str, Any], age_s: float, waits_s: float, tmp_path: Path
) -> None:
    with system(tmp_path, adapter, settings, age_s=age_s) as stations:
        delivery, before = stations.delivery("ticks"), datetime.now(UTC)
        stations.producer("ticks").put([json.dumps({"ticker": "A"}).encode()])
        waits, rounded = timedelta(seconds=waits_s), timedelta(milliseconds=2)
        assert delivery.deliver(before + waits - rounded) == []
        (done,) = delivery.deliver(datetime.now(UTC) + waits + rounded)
        assert done.records == 1


def test_a_stream_whose_warehouse_is_not_there_is_delivered_by_its_own_time(tmp_path: Path) -> None:
    with system(tmp_path, "ducklake", {}, connection="lake") as stations:
        assert stations.delivery("ticks").max_age == timedelta(seconds=1)

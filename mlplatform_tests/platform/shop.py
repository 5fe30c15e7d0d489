"""A system of one stream and one table, on any warehouse that a profile can bind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml

import mlplatform
from mlplatform.platform import SystemStations, open_platform

LOCAL = Path(mlplatform.__path__[0]).parent / "profiles" / "local.yaml"


@contextmanager
def shop(
    folder: Path,
    adapter: str = "ducklake",
    settings: dict[str, Any] | None = None,
    *,
    connection: str = "warehouse",
    age_s: float = 1.0,
    shards: int = 1,
) -> Iterator[SystemStations]:
    """The system `shop`: the stream `ticks`, and the table `prices` that it and the files under ``shop/files/`` fill."""
    delivery = {"prefix": "shop/stream/", "max_age_s": age_s}
    stream = {"name": "ticks", "partition_key": "ticker", "shards": shards, "delivery": delivery}
    table = {
        "name": "prices",
        "connection": connection,
        "columns": [{"name": "ticker"}],
        "sources": [{"stream": "ticks"}, {"prefix": "shop/files/", "suffix": ".csv"}],
    }
    documents = [{"type": "mlplatform.Stream", "attributes": stream}, {"type": "mlplatform.Table", "attributes": table}]
    (folder / "defs" / "shop").mkdir(parents=True)
    (folder / "defs" / "shop" / "defs.yaml").write_text(yaml.safe_dump_all(documents))
    (folder / "pyproject.toml").write_text("[tool.dg.project]\n")
    profile = yaml.safe_load(LOCAL.read_text())
    profile["name"] = "bound"
    profile["connections"]["warehouse"] = {"port": "warehouse", "adapter": adapter, "settings": settings or {}}
    (folder / "profiles").mkdir()
    (folder / "profiles" / "bound.yaml").write_text(yaml.safe_dump(profile))
    env = {
        "MLPLATFORM_HOME": str(folder / "home"),
        "MLPLATFORM_DEFS": str(folder / "defs"),
        "MLPLATFORM_PROFILE": "bound",
    }
    with closing(open_platform(env)) as platform:
        yield platform.system("shop")

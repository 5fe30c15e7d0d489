"""A project with one table whose connection a user's own resource opens in Dagster; what its profile names lets nobody in."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from mlplatform.definitions import build

LOCAL = Path(__file__).parents[2] / "profiles" / "local.yaml"
TABLE = {
    "type": "mlplatform.Table",
    "attributes": {
        "name": "notes",
        "columns": [{"name": "id", "type": "bigint", "nullable": False}, {"name": "text"}],
        "sources": [{"prefix": "shop/notes/", "suffix": ".csv"}],
    },
}
SYSTEM = "shop"


@contextmanager
def project(
    root: Path, connections: Mapping[str, Any], environment: Mapping[str, str], patch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Its package's folder; the profile is the shipped one with these `connections`."""
    package = root / "own_project"
    (package / "defs" / SYSTEM).mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "defs" / SYSTEM / "defs.yaml").write_text(yaml.safe_dump(TABLE), "utf-8")
    (root / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "own_project"\n', "utf-8")
    profile = yaml.safe_load(LOCAL.read_text("utf-8"))
    profile["connections"].update(connections)
    (root / "profiles").mkdir()
    (root / "profiles" / "mine.yaml").write_text(yaml.safe_dump({**profile, "name": "mine"}), "utf-8")
    place = {"MLPLATFORM_HOME": str(root / "home"), "MLPLATFORM_PROFILE": "mine"}
    for name, value in {**place, **environment}.items():
        patch.setenv(name, value)
    patch.syspath_prepend(str(root))
    try:
        yield package
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "own_project"]:
            del sys.modules[name]


def materialized(package: Path, connections: Mapping[str, dg.ConfigurableResource[Any]]) -> dg.ExecuteInProcessResult:
    """The table, loaded in Dagster with these resources for connections."""
    job = build(package, connections=connections).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        asked = [dg.AssetKey([SYSTEM, "notes"])]
        return job.execute_in_process(asset_selection=asked, instance=instance, raise_on_error=False)

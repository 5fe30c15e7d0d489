"""The passengers' system with AutoGluon for its model, in a project of its own, refreshed once by Dagster."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from mlplatform.definitions import build
from mlplatform.platform import open_platform
from mlplatform.spec.scaffold import make_project

EXAMPLE = Path(__file__).parents[2] / "examples" / "passengers"


@dataclass
class Refreshed:
    """What the run made. `folder`: of the project; `env`: what opens its platform."""

    folder: Path
    env: dict[str, str]
    result: dg.ExecuteInProcessResult

    def metadata(self, asset: str) -> Any:
        (made,) = self.result.asset_materializations_for_node(f"passengers__{asset}")
        return made.metadata


@contextmanager
def refreshed(root: Path) -> Iterator[Refreshed]:
    """Make the project under `root` and refresh its model; what was set for that is set back behind."""
    folder = root / "harbour"
    project = make_project("harbour", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [str(folder), *sys.path])
        patch.setenv("MLPLATFORM_HOME", str(project.home))
        runpy.run_path(str(EXAMPLE / "lists.py"))
        system = project.defs / "passengers"
        system.mkdir()
        (system / "features.sql").write_text((EXAMPLE / "features.sql").read_text())
        documents = list(yaml.safe_load_all((EXAMPLE / "defs.yaml").read_text()))
        model = next(d["attributes"] for d in documents if d["type"] == "mlplatform.Model")
        del model["search"], model["hyperparameters"]
        model["container"] = "autogluon"
        model["hyperparameters"] = {"num_cpus": 1, "excluded_model_types": "XGB,RF,XT"}
        (system / "defs.yaml").write_text(yaml.safe_dump_all(documents))
        env = {"MLPLATFORM_HOME": str(project.home), "MLPLATFORM_DEFS": str(project.defs)}
        stations = open_platform(env).system("passengers")
        stations.platform.asset_events.prepare()
        stations.platform.store.put("passengers/lists/first.csv", (folder / "data/first.csv").read_bytes())
        stations.ingest("passengers").create()
        stations.ingest("passengers").run()
        instance = dg.DagsterInstance.from_config(str(project.home / "dagster"))
        job = build(project.defs.parent).resolve_job_def("passengers_refresh")
        yield Refreshed(folder, env, job.execute_in_process(instance=instance, raise_on_error=False))
        instance.dispose()

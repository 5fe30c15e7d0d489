"""The passengers' system with AutoGluon for its model, in a project of its own, refreshed once by Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from mlplatform.definitions import build
from mlplatform.platform import open_platform
from mlplatform_tests.systems.passengers import EXAMPLE, harbour


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
    documents = list(yaml.safe_load_all((EXAMPLE / "defs.yaml").read_text()))
    model = next(d["attributes"] for d in documents if d["type"] == "mlplatform.Model")
    del model["search"]
    model |= {"container": "autogluon", "hyperparameters": {"num_cpus": 1, "excluded_model_types": "XGB,RF,XT"}}
    with harbour(root, yaml.safe_dump_all(documents)) as made:
        stations = open_platform(made.env).system("passengers")
        stations.platform.store.put("passengers/lists/first.csv", (made.folder / "data/first.csv").read_bytes())
        stations.ingest("passengers").create()
        stations.ingest("passengers").run()
        job = build(made.defs.parent).resolve_job_def("passengers_refresh")
        yield Refreshed(made.folder, made.env, job.execute_in_process(instance=made.instance, raise_on_error=False))

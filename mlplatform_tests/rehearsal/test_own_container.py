"""A rehearsal of a model that a process of its own serves: every station asks it, as it would any other."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from mlplatform_tests.packages import LINEAR
from mlplatform_tests.rehearsal.houses import House, stage


def test_a_projects_container_with_an_environment_of_its_own_goes_through_all_stations(tmp_path: Path) -> None:
    house = House(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "shop"\n')
    shutil.copytree(LINEAR, tmp_path / "containers" / "linear")
    folder = house.write("churn")
    documents = list(yaml.safe_load_all((folder / "defs.yaml").read_text()))
    model = next(d["attributes"] for d in documents if d["type"] == "mlplatform.Model")
    for name in ("hyperparameters", "search"):
        model.pop(name, None)
    model["container"] = "linear"
    (folder / "defs.yaml").write_text(yaml.safe_dump_all(documents))
    report = house.rehearse("churn")
    assert [s.detail for s in report.failed] == []
    assert stage(report, "train").detail.startswith("container linear, ")
    assert stage(report, "predict").detail.endswith("each as the table's row is scored")
    assert stage(report, "monitor").status == "passed"

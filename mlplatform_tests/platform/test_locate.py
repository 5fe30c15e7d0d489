"""Systems, profiles and definitions are found from the environment or the project, wherever a process was started."""

from __future__ import annotations

from pathlib import Path

import pytest

import mlplatform
from mlplatform.errors import NotFoundError
from mlplatform.platform.locate import (
    definitions_module,
    defs_folder,
    package_folder,
    profile_folders,
    project_folder,
    working_folder,
)
from mlplatform.spec.scaffold import make_project

PACKAGE = Path(mlplatform.__path__[0])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project("shop", tmp_path / "shop").folder


def test_the_environment_wins(project: Path) -> None:
    assert defs_folder({"MLPLATFORM_DEFS": "/x/defs"}, start=project) == Path("/x/defs")


def test_a_project_is_found_from_any_folder_in_it(project: Path) -> None:
    deep = project / "shop" / "defs"
    assert project_folder(deep) == project
    assert defs_folder({}, start=deep) == project / "shop" / "defs"


def test_outside_a_project_the_examples_are_the_systems(tmp_path: Path) -> None:
    assert defs_folder({}, start=tmp_path) == PACKAGE / "defs" == package_folder() / "defs"


def test_a_projects_profiles_come_first_also_from_elsewhere(project: Path) -> None:
    assert profile_folders(start=project / "shop" / "defs")[0] == project / "profiles"


def test_dagster_loads_the_module_beside_the_systems(project: Path) -> None:
    defs = project / "shop" / "defs"
    assert (definitions_module(defs), working_folder(defs)) == ("shop.definitions", project)
    assert definitions_module(PACKAGE / "defs") == "mlplatform.definitions"


def test_systems_without_definitions_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"There is no 'definitions\.py' beside .*mlplatform init"):
        definitions_module(tmp_path / "defs")

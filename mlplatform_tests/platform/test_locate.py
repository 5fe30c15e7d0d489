"""Systems, profiles and definitions are found from the environment or the project, wherever a process was started."""

from __future__ import annotations

from pathlib import Path

import pytest

import mlplatform
from mlplatform.errors import NotFoundError, ProfileError
from mlplatform.platform.locate import (
    definitions_module,
    defs_folder,
    package_folder,
    profile_folders,
    project_folder,
    project_settings,
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


def settings(project: Path, text: bytes, *, below: str = ".") -> dict[str, str]:
    (project / ".env").write_bytes(text)
    return project_settings(project / below)


def test_the_settings_of_a_project_are_read_as_dagster_reads_them(project: Path) -> None:
    text = b"A=/data/x # a note\nexport B='two # words'\n# C=1\nD\nE=\nF=${A}/y\n"
    assert settings(project, text) == {"A": "/data/x", "B": "two # words", "E": "", "F": "/data/x/y"}


def test_a_byte_order_mark_is_no_part_of_a_name(project: Path) -> None:
    assert settings(project, b"\xef\xbb\xbfA=1\r\nB=2\r\n") == {"A": "1", "B": "2"}


@pytest.mark.parametrize("name", ["MLPLATFORM_HOME", "MLPLATFORM_DEFS", "MLPLATFORM_CACHE", "DAGSTER_HOME"])
def test_a_relative_folder_lies_beside_the_file_wherever_a_command_runs(project: Path, name: str) -> None:
    found = settings(project, f"{name}=./.mlplatform\nOTHER=./x\n".encode(), below="shop/defs")
    assert found == {name: str(project / ".mlplatform"), "OTHER": "./x"}
    assert settings(project, f"{name}=/data/home".encode()) == {name: "/data/home"}
    assert settings(project, f"{name}=".encode()) == {name: ""}


def test_settings_that_are_no_text_name_the_file(project: Path) -> None:
    with pytest.raises(ProfileError, match=r"\.env: expected UTF-8, found .*0xe9"):
        settings(project, "A=caf\u00e9".encode("latin-1"))

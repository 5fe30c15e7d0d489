"""Which installation `mlplatform.open()` opens: that of the project, home and environment it is given."""

from __future__ import annotations

from pathlib import Path

import pytest

import mlplatform
from mlplatform.errors import NotFoundError
from mlplatform_tests.cli.test_own_project import good, run


def test_a_project_folder_says_where_its_systems_and_state_are(tmp_path: Path) -> None:
    good(run(tmp_path, "mlplatform", "init", "my_project"))
    folder = tmp_path / "my_project"
    code = f"import mlplatform; print(mlplatform.open(project={str(folder / 'my_project')!r}))"
    done = run(tmp_path, "python", "-c", code, MLPLATFORM_HOME=str(tmp_path / "other"), MLPLATFORM_DEFS="/nowhere")
    assert good(done).strip() == f"mlplatform project: my_project_system (state at {folder / '.mlplatform'})"


def test_without_state_it_says_so_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"There is no state at .*nowhere.*mlplatform\.open"):
        mlplatform.open(home=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no folder"):
        mlplatform.open(project=tmp_path / "gone")

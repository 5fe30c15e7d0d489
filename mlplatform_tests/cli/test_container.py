"""`container install`: an environment made ahead, once, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform_tests.cli.commands import Shell

DOCKERFILE = 'FROM python\nENTRYPOINT ["python", "train.py"]\n'


@pytest.fixture
def project(shell: Shell) -> Shell:
    """The shell's systems in a project with a container whose lock is empty."""
    (shell.root / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "shop"\n')
    folder = shell.root / "containers" / "bare"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "requirements.lock").write_text("# nothing\n")
    shell.more["MLPLATFORM_CACHE"] = str(shell.root / "cache")
    return shell


def test_it_is_made_and_the_second_time_it_was_there_already(project: Shell) -> None:
    first = project.run("container", "install", "bare")
    assert first.code == 0, first.err
    assert first.out.startswith(f"Container 'bare' is ready: {project.root}/cache/environments/")
    assert "Container 'bare': setting up its environment from requirements.lock" in first.err
    again = project.run("container", "install", "bare")
    assert "was there already" in again.out
    assert again.err == ""


def test_as_json_it_names_the_folder_and_its_size(project: Shell) -> None:
    done = project.run("container", "install", "bare", "--json").json
    assert (done["container"], done["made"]) == ("bare", True)
    assert Path(done["folder"], "bin", "python").exists()
    assert done["size_mib"] >= 0


def test_one_that_runs_in_the_platforms_environment_needs_none(shell: Shell) -> None:
    done = shell.run("container", "install", "xgboost")
    assert (done.code, done.out) == (0, "Container 'xgboost' needs no environment of its own.\n")


def test_one_that_is_not_there_is_6_with_those_that_are(project: Shell) -> None:
    done = project.run("container", "install", "forest")
    assert done.code == 6
    assert "There is no container 'forest'; there are: autogluon, autogluon_neural, bare, xgboost." in done.err


def test_a_lock_without_hashes_is_3_with_the_command_that_writes_one(project: Shell) -> None:
    (project.root / "containers" / "bare" / "requirements.lock").write_text("numpy==2.4.6\n")
    done = project.run("container", "install", "bare")
    assert done.code == 3
    assert "→ Write it with: uv pip compile --universal --generate-hashes" in done.err


def test_packages_that_cannot_be_had_are_10_with_what_to_do(project: Shell) -> None:
    lock = project.root / "containers" / "bare" / "requirements.lock"
    lock.write_text(f"nothing-there==1.0 --hash=sha256:{'0' * 64}\n")
    done = project.run("container", "install", "bare", UV_OFFLINE="1")
    assert done.code == 10
    assert "→ It needs a package index, once" in done.err

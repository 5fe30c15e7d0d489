"""The version of the code: a commit, and what differs from it, by content."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlplatform.platform.code_version import code_version_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package's folder in a checkout of one commit."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "train.py").write_text("x = 1\n")
    (tmp_path / ".gitignore").write_text("__pycache__\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        who = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *command], check=True)
    return folder


def test_a_clean_checkout_is_its_commit(folder: Path) -> None:
    assert len(code_version_of(folder)) == 40


def test_each_edit_is_a_version_of_its_own_and_taken_back_it_is_the_commit(folder: Path) -> None:
    clean = code_version_of(folder)
    found = []
    for text in ("x = 2\n", "x = 3\n", "x = 2\n", "x = 1\n"):
        (folder / "train.py").write_text(text)
        found.append(code_version_of(folder))
    assert [v.partition("+")[0] for v in found] == [clean] * 4
    assert found[0] == found[2] != found[1]
    assert found[3] == clean


def test_a_new_file_counts_by_its_content_and_one_that_git_ignores_does_not(folder: Path) -> None:
    found = [code_version_of(folder)]
    for text in ("y = 1\n", "y = 2\n"):
        (folder / "new.py").write_text(text)
        found.append(code_version_of(folder))
    assert len(set(found)) == 3
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "new.pyc").write_text("cached")
    assert code_version_of(folder) == found[-1]


def test_what_is_edited_beside_the_package_does_not_count(folder: Path) -> None:
    clean = code_version_of(folder)
    (folder.parent / "notes.md").write_text("new\n")
    (folder.parent / ".gitignore").write_text("*.log\n")
    assert code_version_of(folder) == clean


def test_without_git_it_is_the_package_s_version(tmp_path: Path) -> None:
    assert code_version_of(tmp_path).startswith("mlplatform ")

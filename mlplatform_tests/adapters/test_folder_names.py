"""Names of a folder are kept while it does not change, and a key's place among them is found without a look at each."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.adapters.object_store.folder_names import FEW, FolderNames, keys_between


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(FEW):
        (tmp_path / f"{number:03d}").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").touch()
    let_a_tick_pass(tmp_path)
    return tmp_path


def let_a_tick_pass(folder: Path) -> None:
    """Until what changes in `folder` from now on is later by its file system's clock, however coarse that is."""
    beside = folder.parent / f"{folder.name}.clock"
    while not beside.exists() or beside.stat().st_mtime_ns <= folder.stat().st_mtime_ns:
        time.sleep(0.002)
        beside.write_bytes(b"x")
    beside.unlink()


def test_a_folder_is_read_again_only_when_a_name_comes_or_goes(folder: Path) -> None:
    names = FolderNames(settled_s=0)
    first = names.of(str(folder))
    assert (len(first), first[-1]) == (FEW + 1, "sub/")
    assert names.of(str(folder)) is first
    (folder / "new").touch()
    let_a_tick_pass(folder)
    assert "new" in names.of(str(folder))
    (folder / "000").unlink()
    assert "000" not in names.of(str(folder))


def test_what_changed_a_moment_ago_is_not_believed(folder: Path) -> None:
    names = FolderNames()
    assert names.of(str(folder)) is not names.of(str(folder))


def test_a_folder_that_goes_and_comes_again_is_another(folder: Path) -> None:
    names = FolderNames(settled_s=0)
    sub = folder / "sub"
    for number in range(FEW):
        (sub / f"{number:03d}").touch()
    let_a_tick_pass(sub)
    assert len(names.of(str(sub))) == FEW
    for path in sub.iterdir():
        path.unlink()
    sub.rmdir()
    assert names.of(str(sub)) == ()
    sub.write_bytes(b"a file now")
    assert names.of(str(sub)) == ()


PARTS = st.text("ab/", max_size=5)


@given(st.sets(st.text("ab", min_size=1, max_size=3)), st.sets(st.text("ab", min_size=1, max_size=3)), PARTS, PARTS)
def test_keys_are_those_of_a_look_at_each_name(files: set[str], folders: set[str], prefix: str, after: str) -> None:
    names = sorted({*(files - folders), *(f"{name}/" for name in folders)})
    for folder in ("", "a/", "b/a/"):
        keys = [folder + name for name in names]
        expected = [
            key
            for key in keys
            if (
                (key.startswith(prefix) or prefix.startswith(key)) and (key > after or after.startswith(key))
                if key.endswith("/")
                else key > after and key.startswith(prefix)
            )
        ]
        assert list(keys_between(names, folder, prefix, after)) == expected

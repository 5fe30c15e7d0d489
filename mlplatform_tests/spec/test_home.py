"""A home is stamped with version and profile, and refuses another of either."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlplatform.errors import ProfileError, StateError
from mlplatform.spec.home import STATE_VERSION, home_path, open_home, write_atomically


def test_a_new_home_is_stamped_and_opens_again(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home", profile="local")
    assert json.loads(home.state_file.read_text()) == {"version": STATE_VERSION, "profile": "local"}
    assert open_home(tmp_path / "home", profile="local") == home


def test_a_home_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    assert open_home(tmp_path / "home", profile="local").root.stat().st_mode & 0o077 == 0


def test_state_of_another_profile_is_refused(tmp_path: Path) -> None:
    open_home(tmp_path, profile="local")
    with pytest.raises(ProfileError, match="was made under profile 'local', not 'aws'"):
        open_home(tmp_path, profile="aws")


def test_state_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"version": 99, "profile": "local"}')
    with pytest.raises(StateError, match=r"has version 99, this release reads 1\. Install the newer release"):
        open_home(tmp_path, profile="local")


def test_a_damaged_stamp_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(StateError, match=r"state\.json' is no state stamp"):
        open_home(tmp_path, profile="local")


def test_the_home_follows_the_environment(tmp_path: Path) -> None:
    assert home_path({"MLPLATFORM_HOME": str(tmp_path)}) == tmp_path
    assert home_path({"HOME": "/home/ada"}) == Path("/home/ada/.mlplatform")


def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomically(target, b"old")
    with pytest.raises(TypeError):
        write_atomically(target, "not bytes")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]

"""A profile names connections; its addresses follow the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform.errors import ProfileError
from mlplatform.spec.profile import load_profile

TEXT = """
name: mine
connections:
  warehouse: {port: warehouse, adapter: ducklake}
  other: {port: warehouse, adapter: ducklake, settings: {a: 1}}
  objects: {port: object_store, adapter: directory}
systems:
  loans: {warehouse: other}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(TEXT)
    return tmp_path


def test_addresses_follow_the_environment(folder: Path) -> None:
    env = {"MLPLATFORM_PROFILE": "mine", "MLPLATFORM_GATEWAY_PORT": "9001", "MLPLATFORM_HOST": "127.0.0.2"}
    addresses = load_profile(env, [folder]).addresses
    assert (addresses.gateway_port, addresses.host, addresses.ui_port) == (9001, "127.0.0.2", 8711)


def test_a_port_that_is_none_names_key_and_finding(folder: Path) -> None:
    with pytest.raises(ProfileError, match=r"mine\.yaml: addresses\.gateway_port: .* found 'x'"):
        load_profile({"MLPLATFORM_PROFILE": "mine", "MLPLATFORM_GATEWAY_PORT": "x"}, [folder])


def test_a_system_may_bind_a_name_to_another_connection(folder: Path) -> None:
    profile = load_profile({"MLPLATFORM_PROFILE": "mine"}, [folder])
    assert profile.connection("warehouse", port="warehouse").settings == {}
    assert profile.connection("warehouse", port="warehouse", system="loans").settings == {"a": 1}


def test_a_connection_of_another_port_is_refused(folder: Path) -> None:
    profile = load_profile({"MLPLATFORM_PROFILE": "mine"}, [folder])
    with pytest.raises(ProfileError, match="'objects' of profile 'mine' is a object_store, expected a warehouse"):
        profile.connection("objects", port="warehouse")
    with pytest.raises(ProfileError, match="has no connection 'lake'; it has: objects, other, warehouse"):
        profile.connection("lake", port="warehouse")


def test_an_unknown_profile_lists_those_that_are(folder: Path) -> None:
    with pytest.raises(ProfileError, match="There is no profile 'local'; there are: mine"):
        load_profile({}, [folder])


def test_the_first_folder_that_has_it_wins(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.yaml").write_text(TEXT.replace("name: mine", "name: own"))
    assert load_profile({"MLPLATFORM_PROFILE": "mine"}, [own, folder]).name == "own"

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
    (own / "mine.yaml").write_text(f"{TEXT}stage: prod\n")
    assert load_profile({"MLPLATFORM_PROFILE": "mine"}, [own, folder]).stage == "prod"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{TEXT}addresses: foo\n", r"mine\.yaml: addresses: .*dictionary.*, found 'foo'"),
        (f"{TEXT}addresses: [1]\n", r"mine\.yaml: addresses: .*dictionary.*, found \[1\]"),
        (f"{TEXT}worker: fast\n", r"mine\.yaml: worker: .*dictionary.*, found 'fast'"),
        (TEXT.replace("name: mine", "name: local"), r"mine\.yaml: name: expected 'mine', .*, found 'local'"),
        (
            f"{TEXT}addresses: {{gateway_port: 8711}}\n",
            r"mine\.yaml: addresses\.ui_port: .*, found 8711, .*gateway_port",
        ),
        (f"{TEXT}stage: dev\nstage: prod\n", r"mine\.yaml:10: stage: expected once, found in line 9 too"),
        (TEXT.replace("adapter: ducklake}", "adapter: a, adapter: b}"), r"yaml:4: connections\.warehouse\.adapter: "),
        (f"{TEXT}# caf\u00e9\n", r"mine\.yaml: expected UTF-8, found .*0xe9"),
        ("", r"mine\.yaml: expected one document, found 0"),
        (f"{TEXT}---\n{TEXT}", r"mine\.yaml: expected one document, found 2"),
        ("- a\n", r"mine\.yaml: .*dictionary.*, found \['a'\]"),
        ("a: [", r"mine\.yaml:1: not readable as YAML"),
        ("a: \x00", r"mine\.yaml: not readable as YAML"),
    ],
)
def test_a_wrong_profile_names_file_key_and_finding(folder: Path, text: str, words: str) -> None:
    (folder / "mine.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ProfileError, match=words):
        load_profile({"MLPLATFORM_PROFILE": "mine", "MLPLATFORM_HOST": "127.0.0.1"}, [folder])


def test_a_byte_order_mark_does_no_harm(folder: Path) -> None:
    (folder / "mine.yaml").write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert load_profile({"MLPLATFORM_PROFILE": "mine"}, [folder]).name == "mine"


REFERRING = """
name: mine
connections:
  objects: {port: object_store, adapter: s3, settings: {bucket: "${BUCKET}", prefix: "${PREFIX:-here}"}}
"""


def test_settings_are_read_from_the_environment(folder: Path) -> None:
    (folder / "mine.yaml").write_text(REFERRING)
    profile = load_profile({"MLPLATFORM_PROFILE": "mine", "BUCKET": "mine"}, [folder])
    assert profile.connection("objects", port="object_store").settings == {"bucket": "mine", "prefix": "here"}


def test_a_variable_that_is_missing_is_named_when_its_connection_is_asked_for(folder: Path) -> None:
    (folder / "mine.yaml").write_text(REFERRING)
    profile = load_profile({"MLPLATFORM_PROFILE": "mine"}, [folder])
    with pytest.raises(ProfileError, match=r"'objects' of profile 'mine': settings\.bucket needs BUCKET in the env"):
        profile.connection("objects", port="object_store")


def test_a_broken_reference_names_file_and_key(folder: Path) -> None:
    (folder / "mine.yaml").write_text(REFERRING.replace("${BUCKET}", "${BUCKET"))
    with pytest.raises(ProfileError, match=r"mine\.yaml: connections\.objects\.settings\.bucket: .*found '\$\{BUCKET'"):
        load_profile({"MLPLATFORM_PROFILE": "mine"}, [folder])

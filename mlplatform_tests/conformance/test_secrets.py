"""The contract of the secrets port, over every adapter."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.errors import NotFoundError, UserError
from mlplatform_tests.conformance.secret_places import Place, place

__all__ = ["place"]

VALUE = "hunter2"


@pytest.mark.parametrize("value", [VALUE, " a b\n", "ü€😀", '{"user": "a", "password": "b"}'])
def test_secret_comes_back_as_it_was_written(place: Place, value: str) -> None:
    place.write("mine", value)
    assert place.secrets.get("mine").get_secret_value() == value


def test_secret_hides_itself(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.write("mine", VALUE)
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    assert VALUE not in f"{place.secrets.get('mine')} {place.secrets.get('mine')!r} {place.secrets!r}"
    assert VALUE not in caplog.text


def test_missing_secret_is_named_with_where_it_was_looked_for(place: Place) -> None:
    place.write("mine", VALUE)
    with pytest.raises(NotFoundError, match="'absent'") as error:
        place.secrets.get("absent")
    assert place.looked_for in str(error.value)
    assert VALUE not in str(error.value)


def test_secret_that_is_made_after_it_was_missed(place: Place) -> None:
    with pytest.raises(NotFoundError):
        place.secrets.get("late")
    place.write("late", VALUE)
    assert place.secrets.get("late").get_secret_value() == VALUE


def test_rotated_secret_is_seen_after_a_while(place: Place) -> None:
    place.write("mine", VALUE)
    assert place.secrets.get("mine").get_secret_value() == VALUE
    place.write("mine", "rotated")
    place.pass_time(61)
    assert place.secrets.get("mine").get_secret_value() == "rotated"


def test_secret_of_the_environment() -> None:
    secret = EnvironmentSecrets({"MLPLATFORM_SECRET_SLACK_URL": VALUE}).get("slack-url")
    assert secret.get_secret_value() == VALUE


def test_secret_does_not_show_itself() -> None:
    secrets = EnvironmentSecrets({"MLPLATFORM_SECRET_A": VALUE})
    assert VALUE not in f"{secrets.get('a')} {secrets.get('a')!r} {secrets!r}"


def test_secret_of_a_file_is_read_when_asked(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    secrets = EnvironmentSecrets({"MLPLATFORM_SECRET_A_FILE": str(file)})
    with pytest.raises(NotFoundError, match="MLPLATFORM_SECRET_A_FILE names is not there"):
        secrets.get("a")
    file.write_text(f" {VALUE}\n")
    assert secrets.get("a").get_secret_value() == f" {VALUE}"
    file.write_text("rotated")
    assert secrets.get("a").get_secret_value() == "rotated"


def test_missing_secret_names_where_it_was_looked_for() -> None:
    with pytest.raises(
        NotFoundError, match="neither MLPLATFORM_SECRET_DB_PASSWORD nor MLPLATFORM_SECRET_DB_PASSWORD_FILE"
    ):
        EnvironmentSecrets({"MLPLATFORM_SECRET_OTHER": VALUE}).get("db_password")


def test_secret_set_twice_is_refused_without_its_value(tmp_path: Path) -> None:
    secrets = EnvironmentSecrets({"MLPLATFORM_SECRET_A": VALUE, "MLPLATFORM_SECRET_A_FILE": str(tmp_path / "s")})
    with pytest.raises(UserError, match="set twice") as error:
        secrets.get("a")
    assert VALUE not in str(error.value)


def test_empty_secret_is_a_secret() -> None:
    assert EnvironmentSecrets({"MLPLATFORM_SECRET_A": ""}).get("a").get_secret_value() == ""

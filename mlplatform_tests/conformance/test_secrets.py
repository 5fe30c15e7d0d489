"""The contract of the secrets port, over every adapter."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.errors import NotFoundError, UserError

VALUE = "hunter2"


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

"""What a job is told of its warehouse: the connection, and the names of secrets it needs; never a secret itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlplatform.platform.job_source import source_of
from mlplatform.spec.home import Home
from mlplatform.spec.profile import Connection

TEAM = {"host": "h", "database": "d", "user": "u", "bucket": "b"}
SECRETS = Connection(port="secrets", adapter="environment")


@pytest.mark.parametrize(
    ("adapter", "settings", "named", "aws"),
    [
        ("ducklake", {}, (), False),
        ("ducklake", TEAM, ("ducklake_password",), True),
        ("ducklake", {**TEAM, "password_secret": "lake"}, ("lake",), True),
        ("redshift", {"host": "h", "user": "u"}, ("redshift_password",), False),
        ("redshift", {"access": "iam", "cluster": "c", "db_user": "u"}, (), True),
        ("redshift", {"access": "data-api", "workgroup": "w"}, (), True),
    ],
)
def test_the_secrets_that_a_connection_names_are_those_a_job_gets(
    adapter: str, settings: dict[str, Any], named: tuple[str, ...], aws: bool, tmp_path: Path
) -> None:
    connection = Connection(port="warehouse", adapter=adapter, settings=settings)
    source = source_of(connection, SECRETS, Home(tmp_path), "shop", masked=False)
    assert source.secrets == named
    assert source.aws is aws
    assert json.loads(json.dumps(source.document))["connection"]["settings"] == settings

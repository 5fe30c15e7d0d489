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
    ("adapter", "settings", "named"),
    [
        ("ducklake", {}, ()),
        ("ducklake", TEAM, ("ducklake_password",)),
        ("ducklake", {**TEAM, "password_secret": "lake"}, ("lake",)),
        ("redshift", {"host": "h", "user": "u"}, ("redshift_password",)),
    ],
)
def test_the_secrets_that_a_connection_names_are_those_a_job_gets(
    adapter: str, settings: dict[str, Any], named: tuple[str, ...], tmp_path: Path
) -> None:
    connection = Connection(port="warehouse", adapter=adapter, settings=settings)
    source = source_of(connection, SECRETS, Home(tmp_path), "shop", masked=False)
    assert source.secrets == named
    assert source.aws is (settings.get("bucket") is not None)
    assert json.loads(json.dumps(source.document))["connection"]["settings"] == settings

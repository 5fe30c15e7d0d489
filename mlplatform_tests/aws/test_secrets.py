"""The suite of the secrets port on Parameter Store itself."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from mlplatform.adapters.secrets.ssm import SsmSecrets, SsmSettings
from mlplatform_tests.conformance import test_secrets as suite
from mlplatform_tests.conformance.secret_places import Place

globals().update({name: test for name, test in vars(suite).items() if name.startswith("test_")})


@pytest.fixture
def place(unique: str) -> Iterator[Place]:
    """Below a path of its own, all of which is deleted afterwards."""
    prefix, now, client = f"/{unique}/", [0.0], boto3.client("ssm")
    written: set[str] = set()

    def write(name: str, value: str) -> None:
        written.add(prefix + name)
        client.put_parameter(Name=prefix + name, Value=value, Type="SecureString", Overwrite=True)

    secrets = SsmSecrets(SsmSettings(prefix=prefix, cache_s=60), clock=lambda: now[0])
    yield Place(secrets, write, f"{prefix}absent", now)
    secrets.close()
    for name in written:
        client.delete_parameter(Name=name)
    client.close()

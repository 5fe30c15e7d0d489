"""Every secrets adapter over a place that holds what a test puts there, for the suite of the port."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.secrets.secrets_manager import SecretsManagerSecrets, SecretsManagerSettings
from mlplatform.adapters.secrets.ssm import SsmSecrets, SsmSettings
from mlplatform.ports.secrets import Secrets
from mlplatform_tests.servers.ministack.server import Ministack

ADAPTERS = ("environment", "secrets_manager", "ssm")


@dataclass
class Place:
    """Where `secrets` looks; `write` makes or changes one, `pass_time` lets what is kept in memory grow old."""

    secrets: Secrets
    write: Callable[[str, str], None]
    looked_for: str
    _now: list[float] = field(default_factory=lambda: [0.0])

    def pass_time(self, seconds: float) -> None:
        self._now[0] += seconds


@pytest.fixture(params=ADAPTERS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "environment":
        env: dict[str, str] = {}
        yield Place(
            EnvironmentSecrets(env),
            lambda name, value: env.update({f"MLPLATFORM_SECRET_{name.upper()}": value}),
            "MLPLATFORM_SECRET_ABSENT",
        )
        return
    server: Ministack = request.getfixturevalue("ministack_server")
    make = _secrets_manager if request.param == "secrets_manager" else _ssm
    yield from make(server)


def _secrets_manager(server: Ministack) -> Iterator[Place]:
    prefix, now = f"{uuid.uuid4().hex}/", [0.0]
    client: Any = boto3.client("secretsmanager", **server.client_options)

    def write(name: str, value: str) -> None:
        try:
            client.create_secret(Name=prefix + name, SecretString=value)
        except client.exceptions.ResourceExistsException:
            client.put_secret_value(SecretId=prefix + name, SecretString=value)

    settings = SecretsManagerSettings(prefix=prefix, cache_s=60)
    secrets = SecretsManagerSecrets(settings, client_options=server.client_options, clock=lambda: now[0])
    yield Place(secrets, write, f"{prefix}absent", now)
    secrets.close()
    client.close()


def _ssm(server: Ministack) -> Iterator[Place]:
    prefix, now = f"/{uuid.uuid4().hex}/", [0.0]
    client: Any = boto3.client("ssm", **server.client_options)

    def write(name: str, value: str) -> None:
        client.put_parameter(Name=prefix + name, Value=value, Type="SecureString", Overwrite=True)

    settings = SsmSettings(prefix=prefix, cache_s=60)
    secrets = SsmSecrets(settings, client_options=server.client_options, clock=lambda: now[0])
    yield Place(secrets, write, f"{prefix}absent", now)
    secrets.close()
    client.close()

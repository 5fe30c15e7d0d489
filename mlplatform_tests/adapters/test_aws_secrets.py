"""What is the AWS services' alone in the secrets: what is kept in memory, names, refusals, servers that fail."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from mlplatform.adapters.secrets.secrets_manager import SecretsManagerSecrets, SecretsManagerSettings
from mlplatform.adapters.secrets.ssm import SsmSecrets, SsmSettings
from mlplatform.errors import (
    PermissionDeniedError,
    PlatformError,
    StateError,
    ThrottledError,
    UnavailableError,
    UserError,
)
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.ministack.faults import Faults, faults_before
from mlplatform_tests.servers.ministack.server import Ministack

__all__ = ["ministack_server"]

VALUE = "hunter2"
OPERATIONS = {"secrets_manager": "GetSecretValue", "ssm": "GetParameter"}


@pytest.fixture
def faults(ministack_server: Ministack) -> Iterator[Faults]:
    with faults_before(ministack_server.port) as found:
        yield found


Open = Callable[..., Any]


@pytest.fixture(params=OPERATIONS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(kind: str, faults: Faults, ministack_server: Ministack) -> Iterator[Open]:
    """``(cache_s=…, clock=…)``: the adapter over a place where 'mine' is VALUE."""
    prefix, made = f"/{uuid.uuid4().hex}/", []
    client: Any = boto3.client("ssm" if kind == "ssm" else "secretsmanager", **ministack_server.client_options)
    if kind == "ssm":
        client.put_parameter(Name=f"{prefix}mine", Value=VALUE, Type="SecureString")
    else:
        client.create_secret(Name=f"{prefix}mine", SecretString=VALUE)

    def make(cache_s: float = 60, **options: Any) -> Any:
        places: dict[str, Any] = {"prefix": prefix, "cache_s": cache_s}
        given = {"client_options": faults.client_options, **options}
        if kind == "ssm":
            made.append(SsmSecrets(SsmSettings(**places), **given))
        else:
            made.append(SecretsManagerSecrets(SecretsManagerSettings(**places), **given))
        return made[-1]

    yield make
    for secrets in made:
        secrets.close()
    client.close()


def test_service_is_asked_once_in_the_time_a_value_is_kept(opened: Open, kind: str, faults: Faults) -> None:
    now = [0.0]
    secrets = opened(clock=lambda: now[0])
    for moment in (0.0, 30.0, 59.0, 60.0):
        now[0] = moment
        assert secrets.get("mine").get_secret_value() == VALUE
    assert faults.calls == [OPERATIONS[kind]] * 2


def test_value_that_is_not_kept_is_read_each_time(opened: Open, kind: str, faults: Faults) -> None:
    secrets = opened(cache_s=0)
    assert [secrets.get("mine").get_secret_value() for _ in range(2)] == [VALUE] * 2
    assert faults.calls == [OPERATIONS[kind]] * 2


@pytest.mark.parametrize("name", ["no spaces", "a:2", "ü", "x" * 2000])
def test_names_that_the_service_does_not_take_are_not_asked_for(opened: Open, faults: Faults, name: str) -> None:
    with pytest.raises(UserError, match=r"name .*letters, digits"):
        opened().get(name)
    assert faults.calls == []


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("AccessDeniedException", 400, PermissionDeniedError),
        ("ExpiredTokenException", 400, PermissionDeniedError),
        ("ThrottlingException", 400, ThrottledError),
        ("InternalServerError", 500, UnavailableError),
    ],
)
def test_refusals_name_secret_and_permission(
    opened: Open, kind: str, faults: Faults, code: str, status: int, error: type[PlatformError]
) -> None:
    faults.refuse(OPERATIONS[kind], code, status=status, times=2)
    with pytest.raises(error, match=rf"'mine' .*answered {code} to {OPERATIONS[kind]}") as raised:
        opened(client_options=faults.impatient_options).get("mine")
    if error is PermissionDeniedError:
        needs = f"Allow {'ssm:GetParameter' if kind == 'ssm' else 'secretsmanager:GetSecretValue'}"
        assert ("Renew the credentials" if code.startswith("Expired") else needs) in str(raised.value)


def test_throttled_call_is_tried_again(opened: Open, kind: str, faults: Faults) -> None:
    faults.refuse(OPERATIONS[kind], "ThrottlingException", times=2)
    assert opened().get("mine").get_secret_value() == VALUE


def test_botocore_logs_other_answers_still(
    opened: Open, ministack_server: Ministack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    opened().get("mine")
    client: Any = boto3.client("dynamodb", **ministack_server.client_options)
    caplog.clear()
    client.list_tables()
    client.close()
    assert "Response body" in caplog.text


def test_secret_that_waits_to_be_deleted(ministack_server: Ministack) -> None:
    client: Any = boto3.client("secretsmanager", **ministack_server.client_options)
    name = uuid.uuid4().hex
    client.create_secret(Name=name, SecretString=VALUE)
    client.delete_secret(SecretId=name)
    secrets = SecretsManagerSecrets(SecretsManagerSettings(prefix=""), client_options=ministack_server.client_options)
    with pytest.raises(StateError, match=r"marked for deletion.*Restore the secret"):
        secrets.get(name)
    secrets.close()
    client.close()


def test_secret_in_bytes_is_its_text(ministack_server: Ministack) -> None:
    client: Any = boto3.client("secretsmanager", **ministack_server.client_options)
    text, no_text = uuid.uuid4().hex, uuid.uuid4().hex
    client.create_secret(Name=text, SecretBinary="ü".encode())
    client.create_secret(Name=no_text, SecretBinary=b"\xff\xfe")
    secrets = SecretsManagerSecrets(SecretsManagerSettings(prefix=""), client_options=ministack_server.client_options)
    assert secrets.get(text).get_secret_value() == "ü"
    with pytest.raises(UserError, match="is not UTF-8 text"):
        secrets.get(no_text)
    secrets.close()
    client.close()

"""Secrets from AWS Systems Manager's Parameter Store (https://docs.aws.amazon.com/systems-manager/latest/userguide/).

The secret called `name` is the newest version of the parameter ``<prefix><name>``, decrypted where it is a SecureString.
A value is kept for `cache_s` seconds, after which a changed one is seen.
"""

from __future__ import annotations

import re

from pydantic import Field, SecretStr

from mlplatform.adapters.aws.errors import aws_mapped
from mlplatform.adapters.aws.silence import unlogged
from mlplatform.adapters.secrets.aws import AwsSecrets, AwsSecretsSettings
from mlplatform.errors import NotFoundError, PermissionDeniedError, PlatformError, UserError

# Without ':', which would choose a version or a label.
_NAME = re.compile(r"[A-Za-z0-9/_.-]{1,1011}")
_KINDS: dict[str, type[PlatformError]] = {
    "ParameterNotFound": NotFoundError,
    "ParameterVersionNotFound": NotFoundError,
    "InvalidKeyId": PermissionDeniedError,
}
_STEPS: dict[type[PlatformError], str] = {
    NotFoundError: "Make the parameter, or change the connection's prefix.",
    PermissionDeniedError: "Allow ssm:GetParameter on it (and kms:Decrypt on its key).",
}


class SsmSettings(AwsSecretsSettings):
    """A connection's settings, as a profile writes them."""

    prefix: str = Field(default="/mlplatform/", description="In front of each name.")


class SsmSecrets(AwsSecrets):
    """Implements `ports.secrets.Secrets`; `client_options` are further arguments of ``boto3.client``."""

    service = "ssm"

    def _read(self, name: str) -> SecretStr:
        whole = self._prefix + name
        what = f"Secret '{name}' (parameter '{whole}')"
        if not _NAME.fullmatch(whole):
            raise UserError(f"{what}: a parameter's name has 1 to 1011 letters, digits and /_.- only.")
        with aws_mapped(what, service="Systems Manager", kinds=_KINDS, steps=_STEPS), unlogged():
            answer = self._client.get_parameter(Name=whole, WithDecryption=True)
        return SecretStr(answer["Parameter"]["Value"])

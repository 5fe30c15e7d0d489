"""Secrets from AWS Secrets Manager (https://docs.aws.amazon.com/secretsmanager/latest/userguide/).

The secret called `name` is the current version of ``<prefix><name>`` there: its text, or its bytes where they are UTF-8.
A value is kept for `cache_s` seconds, after which a rotated one is seen.
"""

from __future__ import annotations

import re

from pydantic import Field, SecretStr

from mlplatform.adapters.aws.errors import aws_mapped
from mlplatform.adapters.aws.silence import unlogged
from mlplatform.adapters.secrets.aws import AwsSecrets, AwsSecretsSettings
from mlplatform.errors import NotFoundError, PermissionDeniedError, PlatformError, StateError, UserError

_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_KINDS: dict[str, type[PlatformError]] = {
    "DecryptionFailure": PermissionDeniedError,
    # A secret that waits to be deleted.
    "InvalidRequestException": StateError,
}
_STEPS: dict[type[PlatformError], str] = {
    NotFoundError: "Make it, or change the connection's prefix.",
    PermissionDeniedError: "Allow secretsmanager:GetSecretValue on it (and kms:Decrypt on its key).",
    StateError: "Restore the secret, or name another.",
}


class SecretsManagerSettings(AwsSecretsSettings):
    """A connection's settings, as a profile writes them."""

    prefix: str = Field(default="mlplatform/", description="In front of each name.")


class SecretsManagerSecrets(AwsSecrets):
    """Implements `ports.secrets.Secrets`; `client_options` are further arguments of ``boto3.client``."""

    service = "secretsmanager"

    def _read(self, name: str) -> SecretStr:
        whole = self._prefix + name
        what = f"Secret '{name}' ('{whole}')"
        if not _NAME.fullmatch(whole):
            raise UserError(f"{what}: a name in Secrets Manager has 1 to 512 letters, digits and /_+=.@- only.")
        with aws_mapped(what, service="Secrets Manager", kinds=_KINDS, steps=_STEPS), unlogged():
            answer = self._client.get_secret_value(SecretId=whole)
        if "SecretString" in answer:
            return SecretStr(answer["SecretString"])
        try:
            return SecretStr(answer["SecretBinary"].decode())
        except UnicodeDecodeError:
            raise UserError(f"{what} is not UTF-8 text.") from None

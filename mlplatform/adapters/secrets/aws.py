"""What AWS's two stores of secrets have alike: a prefix, a client, and values kept for a while."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from mlplatform.adapters.aws.client import AwsSettings
from mlplatform.adapters.secrets.cache import SecretCache


class AwsSecretsSettings(AwsSettings):
    """A connection's settings, as a profile writes them."""

    prefix: str = Field(description="In front of each name.")
    cache_s: float = Field(default=300, ge=0, description="Seconds after which a value is read again.")


class AwsSecrets(ABC):
    """Implements `ports.secrets.Secrets`; `client_options` are further arguments of ``boto3.client``."""

    service: ClassVar[str]
    """As boto3 calls it."""

    def __init__(
        self,
        settings: AwsSecretsSettings,
        *,
        client_options: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prefix = settings.prefix
        self._client = settings.client(self.service, client_options)
        self._cache = SecretCache(self._read, kept_s=settings.cache_s, clock=clock)

    def get(self, name: str) -> SecretStr:
        return self._cache.get(name)

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    @abstractmethod
    def _read(self, name: str) -> SecretStr:
        """The secret as it is there now. Raises PlatformError."""

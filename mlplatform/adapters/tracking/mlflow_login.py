"""How requests to an MLflow server bear a login: read from the secrets with each request, in no variable of the environment.

MLflow asks a provider of the name that MLFLOW_TRACKING_AUTH says (https://mlflow.org/docs/latest/ml/plugins/#request-auth).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.tracking.mlflow_settings import MlflowSettings

if TYPE_CHECKING:
    from mlplatform.ports.secrets import Secrets

_NAME = "mlplatform"


class _Login:
    """What `requests` calls with each request."""

    def __init__(self, settings: MlflowSettings, secrets: Callable[[], Secrets]) -> None:
        self._settings = settings
        self._secrets = secrets

    def __call__(self, request: Any) -> Any:
        from requests.auth import HTTPBasicAuth

        settings = self._settings
        if settings.token_secret is not None:
            token = self._secrets().get(settings.token_secret).get_secret_value()
            request.headers["Authorization"] = f"Bearer {token}"
            return request
        password = self._secrets().get(settings.password_secret or "").get_secret_value()
        return HTTPBasicAuth(settings.user or "", password)(request)


class _Provider:
    login: _Login | None = None

    def get_name(self) -> str:
        return _NAME

    def get_auth(self) -> _Login | None:
        return self.login


_PROVIDER = _Provider()


def log_in_with(settings: MlflowSettings, secrets: Callable[[], Secrets]) -> None:
    """From now on requests of this process to MLflow servers bear the settings' login, if they have one."""
    if settings.user is None and settings.token_secret is None:
        return
    from mlflow.tracking.request_auth import registry

    if _PROVIDER.login is None:
        # Plugins are found by their packages' entry points only; this one is none.
        providers: Any = registry._request_auth_provider_registry
        providers.register(lambda: _PROVIDER)
    _PROVIDER.login = _Login(settings, secrets)
    os.environ["MLFLOW_TRACKING_AUTH"] = _NAME

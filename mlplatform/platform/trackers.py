"""MLflow as a tracking connection's settings ask for it: under the home or on a server, with model packages beside or without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.endpoints.sagemaker_artifact import lay_artifact
from mlplatform.adapters.tracking.mlflow import MlflowTracking
from mlplatform.adapters.tracking.mlflow_server import MlflowServerTracking
from mlplatform.adapters.tracking.mlflow_settings import MlflowSettings
from mlplatform.spec.home import Home
from mlplatform.spec.profile import Addresses

if TYPE_CHECKING:
    from mlplatform.ports.object_store import ObjectStore
    from mlplatform.ports.secrets import Secrets
    from mlplatform.ports.tracking import Tracking


def mlflow_tracking(
    settings: Mapping[str, Any],
    home: Home,
    addresses: Addresses,
    secrets: Callable[[], Secrets],
    store: Callable[[], ObjectStore],
    copies: Path,
) -> Tracking:
    """`copies`: where local copies of packages lie. Raises ValidationError where the settings are wrong."""
    found = MlflowSettings.model_validate(settings)
    tracked: Tracking
    if found.server is None:
        pages = f"http://{addresses.host}:{addresses.tracker_port}"
        tracked = MlflowTracking(home.tracking, copies, ui_url=pages)
    else:
        tracked = MlflowServerTracking(found, home.tracking, copies, secrets=secrets)
    if not found.model_packages.image:
        return tracked
    from mlplatform.adapters.tracking.sagemaker_packages import packaged

    return packaged(tracked, found.model_packages, store, lay_artifact)

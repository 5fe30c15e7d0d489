"""MLflow's client: imported late and quietly, with bounded retries, and seen to answer."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

from mlplatform.adapters.driver_imports import DRIVER_IMPORTS

_ENVIRONMENT = {
    # Read when MLflow is imported: it reports home otherwise.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Its own seven pause for two minutes altogether.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
"""MLflow takes its settings from the environment alone; one that is set there holds."""


def new_client(uri: str) -> Any:
    """The client of runs and versions at `uri`, which was asked for something once."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with DRIVER_IMPORTS, warnings.catch_warnings():
        # Deprecations between MLflow and what it is built on; nothing a caller could change.
        warnings.simplefilter("ignore")
        from mlflow.tracking import MlflowClient

        # Importing it sets its own level; its database's set-up is nobody's news.
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_registered_models(max_results=1)
    return client

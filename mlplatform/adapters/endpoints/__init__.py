"""Endpoints: where models are served."""

from mlplatform.adapters.endpoints.desk import LocalDesk
from mlplatform.adapters.endpoints.local import LocalEndpoints

__all__ = ["LocalDesk", "LocalEndpoints"]

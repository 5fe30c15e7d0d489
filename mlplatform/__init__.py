"""Data and ML assets on Dagster: one YAML file per system, from the raw stream to a model that refreshes itself.

The component types are attributes of this package (``type: mlplatform.Table``), loaded when first asked for, so that
importing the package stays light for the gateway, the worker and jobs. So is `open`, which notebooks begin with:
``mlplatform.open().system("stock_prices").table("stock_table")``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlplatform.components.endpoint import Endpoint
    from mlplatform.components.feature_set import FeatureSet
    from mlplatform.components.model import Model
    from mlplatform.components.monitor import Monitor
    from mlplatform.components.notify import Notify
    from mlplatform.components.refresh import Refresh
    from mlplatform.components.stream import Stream
    from mlplatform.components.system import System
    from mlplatform.components.table import Table
    from mlplatform.notebook.project import open_project as open  # noqa: A004 - as in mlplatform.open()

__all__ = ["Endpoint", "FeatureSet", "Model", "Monitor", "Notify", "Refresh", "Stream", "System", "Table", "open"]

_MODULES = {
    "Endpoint": "endpoint",
    "FeatureSet": "feature_set",
    "Model": "model",
    "Monitor": "monitor",
    "Notify": "notify",
    "Refresh": "refresh",
    "Stream": "stream",
    "System": "system",
    "Table": "table",
}


def __getattr__(name: str) -> Any:
    if name == "open":
        return import_module("mlplatform.notebook.project").open_project
    if name in _MODULES:
        return getattr(import_module(f"mlplatform.components.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'mlplatform' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

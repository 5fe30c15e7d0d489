"""The composition root: home + profile + systems → stations with their adapters."""

from mlplatform.platform.root import Platform, open_platform
from mlplatform.platform.system import SystemStations

__all__ = ["Platform", "SystemStations", "open_platform"]

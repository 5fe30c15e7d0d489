"""The resource through which assets, checks and sensors reach the stations."""

from __future__ import annotations

import os

import dagster as dg
from pydantic import PrivateAttr

from mlplatform.platform import Platform, SystemStations, open_platform


class PlatformResource(dg.ConfigurableResource):
    """Opens the platform of this process's environment when first used, so that definitions load without it."""

    defs: str
    _platform: Platform | None = PrivateAttr(default=None)

    def open(self) -> Platform:
        """The platform, opened once a process."""
        if self._platform is None:
            self._platform = open_platform({**os.environ, "MLPLATFORM_DEFS": self.defs})
        return self._platform

    def system(self, name: str) -> SystemStations:
        """The stations of one system."""
        return self.open().system(name)

"""The resource through which assets, checks and sensors reach the stations."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from mlplatform.platform import Platform, SystemStations, open_platform
from mlplatform.ports.asset_events import CheckOutcome


class PlatformResource(dg.ConfigurableResource):
    """Opens the platform of this process's environment when first used, so that definitions load without it."""

    defs: str
    _platform: Platform | None = PrivateAttr(default=None)

    def open(self) -> Platform:
        """The platform, opened once a process."""
        if self._platform is None:
            env = {**os.environ, "MLPLATFORM_DEFS": self.defs}
            # Only now are environment variables read that the resources name.
            own = {name: resource.process_config_and_initialize() for name, resource in self.connections().items()}
            self._platform = open_platform(env, resources=own)
        return self._platform

    def connections(self) -> Mapping[str, dg.ConfigurableResource]:
        """A user's own resources that open connections of the profile, by the connection's name."""
        return {}

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """Give back what the platform holds open: a code server evaluates sensors for weeks."""
        if self._platform is not None:
            self._platform.close()
            self._platform = None

    def system(self, name: str) -> SystemStations:
        """The stations of one system."""
        return self.open().system(name)

    def result(self, metadata: Mapping[str, Any], checks: Iterable[CheckOutcome] = ()) -> dg.MaterializeResult:
        """What a station did as Dagster shows it; a check that does not block only warns."""
        shown = self.open().asset_events.shown
        return dg.MaterializeResult(
            metadata=shown(metadata),
            check_results=[
                dg.AssetCheckResult(
                    check_name=o.name,
                    passed=o.passed,
                    severity=dg.AssetCheckSeverity.ERROR if o.blocking else dg.AssetCheckSeverity.WARN,
                    metadata=shown(o.metadata),
                    description=o.description or None,
                )
                for o in checks
            ],
        )


def platform_with(defs: Path, connections: Mapping[str, dg.ConfigurableResource]) -> PlatformResource:
    """The resource for a project whose `connections` are opened by a user's own resources."""

    class WithConnections(PlatformResource):
        """Dagster makes copies of a resource from its fields; what it closes over stays."""

        def connections(self) -> Mapping[str, dg.ConfigurableResource]:
            return connections

    return WithConnections(defs=str(defs))

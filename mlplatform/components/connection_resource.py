"""A profile's connection for a user's own assets, as the resource of Dagster's integration that he knows."""

from __future__ import annotations

import os
from typing import Any

import dagster as dg

from mlplatform.platform import open_platform
from mlplatform.platform.dagster_resources import dagster_resource


class ConnectionResource(dg.ConfigurableResource):
    """``Definitions(resources={"snowflake": ConnectionResource(connection="warehouse")})``: an asset asks for it as
    ``snowflake: dg.ResourceParam[SnowflakeResource]``. Profile and secrets are read when it is used.

    `defs`: the project's folder of systems; empty: as ``MLPLATFORM_DEFS`` says, or the working directory's.
    """

    connection: str
    defs: str = ""

    def create_resource(self, context: dg.InitResourceContext) -> Any:  # noqa: ARG002
        """The integration's own resource."""
        platform = open_platform({**os.environ, "MLPLATFORM_DEFS": self.defs} if self.defs else None)
        try:
            return dagster_resource(platform.profile.named(self.connection), lambda: platform.secrets)
        finally:
            platform.close()

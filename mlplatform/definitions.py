"""What Dagster loads: every system under `defs/`, with the platform as its resource."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from mlplatform.components.platform_resource import platform_with
from mlplatform.components.station import PLATFORM


def build(package: Path, *, connections: Mapping[str, dg.ConfigurableResource[Any]] | None = None) -> dg.Definitions:
    """Definitions of the project whose Python package is the folder `package`: its `defs/` and the platform.

    `connections`: resources of dagster-snowflake and dagster-aws, as a user configured them, by the name of the profile's
    connection that they open in Dagster. What runs without Dagster (worker, jobs, gateway) uses the profile's own.

    One process runs a whole run (three trivial assets: 2 s against 6 s and more with a process a step); heavy work is in
    jobs of their own anyway.
    """
    systems = dg.load_from_defs_folder(path_within_project=package)
    return dg.Definitions.merge(
        systems,
        dg.Definitions(
            executor=dg.in_process_executor, resources={PLATFORM: platform_with(package / "defs", connections or {})}
        ),
    )


@dg.definitions
def defs() -> dg.Definitions:
    return build(Path(__file__).parent)

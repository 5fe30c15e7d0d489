"""What Dagster loads: every system under `defs/`, with the platform as its resource."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from mlplatform.components.platform_resource import PlatformResource
from mlplatform.components.station import PLATFORM


def build(package: Path) -> dg.Definitions:
    """Definitions of the project whose Python package is the folder `package`: its `defs/` and the platform.

    One process runs a whole run (three trivial assets: 2 s against 6 s and more with a process a step); heavy work is in
    jobs of their own anyway.
    """
    systems = dg.load_from_defs_folder(path_within_project=package)
    return dg.Definitions.merge(
        systems,
        dg.Definitions(
            executor=dg.in_process_executor, resources={PLATFORM: PlatformResource(defs=str(package / "defs"))}
        ),
    )


@dg.definitions
def defs() -> dg.Definitions:
    return build(Path(__file__).parent)

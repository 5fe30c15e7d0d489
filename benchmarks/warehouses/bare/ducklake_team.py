"""A DuckLake in PostgreSQL and S3 by DuckDB alone."""

from __future__ import annotations

import os

from benchmarks.warehouses.bare.engine import serve
from benchmarks.warehouses.bare.lake import BareLake
from benchmarks.warehouses.place import Place
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.ducklake_team import TeamPlace, TeamSettings


def made(place: Place) -> BareLake:
    """Its catalogue is a schema beside the platform's."""
    settings = TeamSettings.model_validate(place.settings)
    return BareLake(place, TeamPlace(settings, EnvironmentSecrets(os.environ), system="bare"))


if __name__ == "__main__":
    serve(made)

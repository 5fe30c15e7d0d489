"""Names of tables on the command line: SYSTEM/TABLE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlplatform.errors import DataError

if TYPE_CHECKING:
    from mlplatform.platform import SystemStations


def loaded_table(table: str) -> tuple[SystemStations, str]:
    """The stations of SYSTEM/TABLE and the table's name; a table that nothing was loaded into yet is made, and is empty."""
    from mlplatform.platform import open_platform
    from mlplatform.spec.table import TableSpec

    system, name = split_name(table, "SYSTEM/TABLE")
    stations = open_platform().system(system)
    if stations.spec.get(TableSpec, name).existing:
        raise DataError(
            f"Table '{table}' is loaded by others: it has neither receipts nor a quarantine here.",
            next_step="Read it with mlplatform query.",
        )
    stations.ingest(name).create()
    return stations, name


EXAMPLES = {
    "SYSTEM/TABLE": "stock_prices/stock_table",
    "SYSTEM/STREAM": "stock_prices/stock_stream",
    "SYSTEM/MODEL": "stock_prices/stock_model",
    "SYSTEM/ENDPOINT": "stock_prices/stock_prices",
    "SYSTEM/MONITOR": "stock_prices/stock_monitor",
}
"""A name of each shape that a command asks for."""


def split_name(name: str, shape: str) -> tuple[str, str]:
    """Its two parts. Raises DataError where it is no `shape`."""
    system, slash, rest = name.partition("/")
    if not (system and slash and rest) or "/" in rest:
        raise DataError(f"'{name}' is no {shape}.", next_step=f"Write it as {shape}, e.g. {EXAMPLES[shape]}.")
    return system, rest

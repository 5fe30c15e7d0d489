"""The Parquet object to load: the shape of stock prices, as many rows as asked for."""

from __future__ import annotations

from pathlib import Path

from benchmarks.ingest.data import COLUMNS, NAMES
from mlplatform.core.tables.schema import TableSchema
from mlplatform.spec.table import TableSpec

SELECT = f"SELECT {', '.join(NAMES)} FROM "  # noqa: S608 - names from here
ORDER = ("trading_day", "ticker_symbol")


def schema(table: str) -> TableSchema:
    """Of the rows, for a table of that name."""
    return TableSpec.model_validate({"name": table, "columns": COLUMNS, "event_time": "trading_day"}).schema_()


def write_parquet(path: Path, rows: int) -> None:
    """Synthetic rows: 1,000 tickers a day, days ascending; the same count gives the same values."""
    import duckdb

    with duckdb.connect(config={"threads": "1"}) as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute(
            f"COPY (SELECT 'T' || lpad((i % 1000)::VARCHAR, 4, '0') AS ticker_symbol, 'Sector ' || (i % 11) AS sector, "  # noqa: S608 - a number and a path from here
            "round(random() * 10 - 5, 4) AS change, round(random() * 400 + 10, 2) AS price, "
            f"DATE '1700-01-01' + CAST(i // 1000 AS INTEGER) AS trading_day FROM range({rows}) AS t(i)) "
            f"TO '{path}' (FORMAT parquet)"
        )


def memory_mib(path: Path) -> float:
    """What all rows of the object would take in memory, as Arrow has them; they are looked at a batch at a time."""
    import pyarrow.parquet as pq

    return sum(batch.nbytes for batch in pq.ParquetFile(path).iter_batches()) / 2**20

"""The CSV to load: the shape of stock prices (text, text, two numbers, a date), as many rows as asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

COLUMNS: list[dict[str, Any]] = [
    {"name": "ticker_symbol", "nullable": False},
    {"name": "sector", "nullable": False},
    {"name": "change", "type": "double"},
    {"name": "price", "type": "double", "nullable": False, "minimum": 0},
    {"name": "trading_day", "type": "date", "nullable": False},
]
NAMES = [c["name"] for c in COLUMNS]


def write_csv(path: Path, rows: int, *, seed: float = 0.5, first: int = 0) -> None:
    """Synthetic rows from number `first` on: 1,000 tickers a day, days ascending; the same arguments give the same bytes."""
    import duckdb

    with duckdb.connect(config={"threads": "1"}) as connection:
        connection.execute(f"SELECT setseed({seed})")
        connection.execute(
            f"COPY (SELECT 'T' || lpad((i % 1000)::VARCHAR, 4, '0') AS ticker_symbol, 'Sector ' || (i % 11) AS sector, "  # noqa: S608 - numbers only
            "round(random() * 10 - 5, 4) AS change, round(random() * 400 + 10, 2) AS price, "
            f"DATE '1700-01-01' + CAST(i // 1000 AS INTEGER) AS trading_day FROM range({first}, {first + rows}) AS t(i)) TO '{path}' (HEADER)"
        )

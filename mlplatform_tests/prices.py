"""The example's real prices as Arrow rows of `stock_table`, by trading day."""

from __future__ import annotations

from functools import cache

import pyarrow as pa

FEATURES_SQL = "SELECT trading_day, ticker_symbol, sector, change, price FROM stock_table"


@cache
def _all() -> pa.Table:
    from examples.stock_prices.prices import frame

    table = pa.Table.from_pandas(frame(), preserve_index=False)
    strings = {"ticker_symbol", "sector", "trading_day"}
    plain = pa.schema([(n, pa.string() if n in strings else pa.float64()) for n in table.column_names])
    table = table.cast(plain)
    place = table.column_names.index("trading_day")
    return table.set_column(place, "trading_day", table.column("trading_day").cast(pa.date32()))


def price_rows(first: int, last: int) -> pa.Table:
    """Rows of trading days `first` … `last` (counted from 0, the last exclusive), twenty a day."""
    return _all().slice(first * 20, (last - first) * 20)

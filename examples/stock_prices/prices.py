"""The S&P 500 prices of the example as records: the base history, then the days that follow.

Source: the data file of the package skfolio (BSD-3-Clause), daily adjusted closing prices of 20 companies,
1990-01-02 … 2022-12-28. Only the file is read; the package is not imported. Sectors are the companies' GICS sectors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pandas as pd

from mlplatform.errors import NotFoundError

BASE_DAYS = 7_679
"""Days of base history; × 20 tickers = 153,580 rows."""

SECTORS = {
    "AAPL": "Information Technology",
    "AMD": "Information Technology",
    "BAC": "Financials",
    "BBY": "Consumer Discretionary",
    "CVX": "Energy",
    "GE": "Industrials",
    "HD": "Consumer Discretionary",
    "JNJ": "Health Care",
    "JPM": "Financials",
    "KO": "Consumer Staples",
    "LLY": "Health Care",
    "MRK": "Health Care",
    "MSFT": "Information Technology",
    "PEP": "Consumer Staples",
    "PFE": "Health Care",
    "PG": "Consumer Staples",
    "RRC": "Energy",
    "UNH": "Health Care",
    "WMT": "Consumer Staples",
    "XOM": "Energy",
}


@dataclass(frozen=True)
class Day:
    """The twenty records of one trading day, as a producer sends them."""

    trading_day: str
    records: tuple[dict[str, object], ...]


def frame() -> pd.DataFrame:
    """All rows in time order: ticker_symbol, sector, change, price, trading_day (text, ISO)."""
    wide = pd.read_csv(_data_file(), index_col=0)
    wide.columns.name = "ticker_symbol"
    prices = pd.Series(wide.stack(), name="price")
    long = prices.reset_index().rename(columns={wide.index.name or "level_0": "trading_day"})
    # NULL on a ticker's first day. Rounded, for a price has no more digits than a cent's hundredth.
    long["change"] = long.groupby("ticker_symbol")["price"].diff().round(6)
    long["sector"] = long["ticker_symbol"].map(SECTORS)
    return long[["ticker_symbol", "sector", "change", "price", "trading_day"]]


def base_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The first 7,679 days: 153,580 rows."""
    days = rows["trading_day"].unique()
    found: pd.DataFrame = rows[rows["trading_day"] < days[BASE_DAYS]]
    return found


def streamed_days(rows: pd.DataFrame) -> Iterator[Day]:
    """The 634 days behind the base history, in time order."""
    days = rows["trading_day"].unique()
    later = rows[rows["trading_day"] >= days[BASE_DAYS]]
    for day, group in later.groupby("trading_day", sort=True):
        yield Day(str(day), tuple(json.loads(group.to_json(orient="records"))))


def _data_file() -> Path:
    try:
        listed = files("skfolio") or []
    except PackageNotFoundError as error:
        raise NotFoundError(
            "The example's data file is not installed (package skfolio).",
            next_step="pip install --no-deps -r requirements/example-data.lock",
        ) from error
    return Path(str(next(f.locate() for f in listed if str(f).endswith("sp500_dataset.csv.gz"))))

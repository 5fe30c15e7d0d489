"""The work: a system like the shipped one, its rows, and how much of each. What is to be learnt changes with every file, and
a file fills the window: so each one fails the monitor, asks for a training, and the new model is better."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WINDOW_DAYS = 250


@dataclass(frozen=True)
class Work:
    """How much there is to do.

    Attributes:
        tickers, days: rows of the history are their product; each file that follows has `WINDOW_DAYS` more days.
        numbers: numeric features beside `change`. trials, trees: of the search, and of each model.
    """

    tickers: int
    days: int
    numbers: int
    trials: int
    trees: int

    @property
    def extra(self) -> list[str]:
        """Names of the further features."""
        return [f"number_{k}" for k in range(self.numbers)]

    @property
    def columns(self) -> list[str]:
        """Columns of the table, in order."""
        return ["ticker_symbol", "sector", "change", "price", "trading_day", *self.extra]


S1 = Work(tickers=20, days=7_679, numbers=0, trials=6, trees=300)
"""The shipped system: 153,580 rows, three features, six trials."""
WIDE = Work(tickers=2_000, days=260, numbers=29, trials=4, trees=300)
"""A wide table and a search that takes a minute and more: half a million training rows x 32 features."""
SMALL = Work(tickers=20, days=300, numbers=2, trials=1, trees=20)
"""To try out."""


def write_file(path: Path, work: Work, number: int) -> None:
    """CSV of the history (`number` 0) or of the file that follows as `number`; the same arguments give the same bytes."""
    import duckdb

    first_day = 0 if number == 0 else work.days + (number - 1) * WINDOW_DAYS
    start = first_day * work.tickers
    rows = (work.days if number == 0 else WINDOW_DAYS) * work.tickers
    level = 1.0 if number % 2 == 0 else 1.7
    extra = "".join(f", round(random(), 6) AS {name}" for name in work.extra)
    learnt = " + ".join([f"20 * {name}" for name in work.extra[:5]] or ["0"])
    with duckdb.connect(config={"threads": "1"}) as connection:
        connection.execute(f"SELECT setseed({1 / (number + 2)})")
        connection.execute(
            f"CREATE TABLE made AS SELECT i, (i // {work.tickers})::INTEGER AS day, i % {work.tickers} AS ticker, "  # noqa: S608 - numbers only
            f"round(random() * 10 - 5, 4) AS change, random() AS noise{extra} FROM range({start}, {start + rows}) AS t(i)"
        )
        connection.execute(
            "COPY (SELECT 'T' || lpad(ticker::VARCHAR, 4, '0') AS ticker_symbol, 'Sector ' || (ticker % 11) AS sector, change, "  # noqa: S608
            f"round((100 + ticker % 97 + {learnt} + 5 * change) * {level} + noise, 3) AS price, "
            f"DATE '1990-01-01' + day AS trading_day{''.join(f', {n}' for n in work.extra)} FROM made ORDER BY i) "
            f"TO '{path}' (HEADER)"
        )


def defs(work: Work) -> str:
    """The system's page of YAML."""
    columns = "".join(f"\n    - {{name: {n}, type: double}}" for n in work.extra)
    features = "".join(f"\n    - {{name: {n}}}" for n in work.extra)
    return f"""type: mlplatform.Table
attributes:
  name: bench_table
  event_time: trading_day
  unique_key: [ticker_symbol, trading_day]
  columns:
    - {{name: ticker_symbol, nullable: false}}
    - {{name: sector, nullable: false}}
    - {{name: change, type: double}}
    - {{name: price, type: double, nullable: false}}
    - {{name: trading_day, type: date, nullable: false}}{columns}
  sources:
    - {{prefix: bench/, suffix: .csv}}
---
type: mlplatform.FeatureSet
attributes:
  name: bench_features
  table: bench_table
  query: features.sql
  target: price
  window: {{column: trading_day, last: {WINDOW_DAYS}}}
  split: {{by: hash, key: [trading_day], holdout: 0.15, validation: 0.15, salt: bench}}
  features:
    - {{name: ticker_symbol, transform: category}}
    - {{name: sector, transform: category}}
    - {{name: change, missing: keep}}{features}
  expectations:
    - {{type: expect_column_values_to_not_be_null, kwargs: {{column: price}}}}
---
type: mlplatform.Model
attributes:
  name: bench_model
  features: bench_features
  task: regression
  hyperparameters: {{num_round: {work.trees}, max_depth: 6, eta: 0.1}}
  search: {{trials: {work.trials}, timeout_s: 1800, ranges: {{max_depth: {{low: 4, high: 8}}, eta: {{low: 0.05, high: 0.3, log: true}}}}}}
  gate: {{metric: r2, threshold: -100, by: trading_day, confidence: 0.51}}
---
type: mlplatform.Endpoint
attributes:
  name: bench_endpoint
  model: bench_model
  prediction: price
---
type: mlplatform.Monitor
attributes:
  name: bench_monitor
  endpoint: bench_endpoint
  table: bench_table
  window: {{column: trading_day, size: {WINDOW_DAYS}, lateness_s: 0}}
  quality: {{metric: r2, threshold: 1.0}}
  retrain: {{checks: [quality], cooldown_s: 0, max_per_day: 1000}}
---
type: mlplatform.Refresh
attributes:
  name: bench_refresh
  endpoint: bench_endpoint
"""


def query(work: Work) -> str:
    """The feature query."""
    return f"SELECT {', '.join(work.columns)} FROM bench_table\n"  # noqa: S608 - names of ours

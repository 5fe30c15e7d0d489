"""A system about made-up people whose every personal value carries a mark that nothing else has."""

from __future__ import annotations

import json
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

MARK = "qvxzmark"
RICHEST = 73915826431.25
"""The salary of a few people, by which it can be found in any text: a number that is nobody else's."""
RICH = "73915826431"
FIRST_DAY = date(2026, 1, 1)
PEOPLE_A_DAY = 20
DAYS = 40

DEFS = """
type: mlplatform.Stream
attributes:
  name: visits
  partition_key: email
  delivery: {prefix: people/stream/, max_age_s: 1, transform: "house.records:clean"}
---
type: mlplatform.Table
attributes:
  name: people
  unique_key: [email, day]
  event_time: day
  columns:
    - {name: email, nullable: false, personal: true}
    - {name: salary, type: double, personal: true, maximum: 100000000000}
    - {name: city, nullable: false}
    - {name: age, type: double, nullable: false, minimum: 0, maximum: 120}
    - {name: spent, type: double, nullable: false}
    - {name: day, type: date, nullable: false}
  sources:
    - {stream: visits}
    - {prefix: people/lists/, suffix: .csv}
---
type: mlplatform.FeatureSet
attributes:
  name: people_features
  table: people
  query: features.sql
  target: spent
  anonymous: [provider]
  window: {column: day, last: 300}
  split: {by: hash, key: [email], holdout: 0.2, validation: 0.2, salt: people}
  features:
    - {name: salary, missing: keep, maximum: 100000000000}
    - {name: city, transform: category}
    - {name: age, maximum: 120}
    - {name: provider, transform: category}
  expectations:
    - {type: expect_column_values_to_match_regex, severity: warn, kwargs: {column: email, regex: ^never}}
    - {type: expect_column_max_to_be_between, severity: warn, kwargs: {column: salary, max_value: 1000}}
    - {type: expect_column_values_to_be_between, severity: warn, kwargs: {column: salary, max_value: 1000}}
---
type: mlplatform.Model
attributes:
  name: people_model
  features: people_features
  task: regression
  hyperparameters: {num_round: 5, max_depth: 3}
  gate: {metric: r2, threshold: -100, by: email, segments: [city]}
---
type: mlplatform.Endpoint
attributes:
  name: spending
  model: people_model
  keys: [email]
---
type: mlplatform.Monitor
attributes:
  name: people_monitor
  endpoint: spending
  table: people
  window: {column: day, size: 5, lateness_s: 0.5}
  drift: {threshold: 0.01}
  quality: {metric: rmse, threshold: 0}
---
type: mlplatform.Refresh
attributes: {name: people_refresh, endpoint: spending, schedule: null, first_rows: 500}
---
type: mlplatform.Notify
attributes: {name: people_notifications}
"""

FEATURES = """
SELECT email, salary, city, age, split_part(email, '@', 2) AS provider, spent, day FROM people
"""

RECORDS = '''
"""A transformation that fails on some records, and tells what it failed on."""


def clean(data: bytes) -> bytes:
    if b"unclean" in data:
        raise ValueError(f"cannot clean {data!r}")
    return data
'''


def write_people(defs: Path) -> None:
    """The system `people` in the project whose systems lie in `defs`."""
    folder = defs / "people"
    folder.mkdir()
    (folder / "defs.yaml").write_text(DEFS)
    (folder / "features.sql").write_text(FEATURES)
    (defs.parent / "records.py").write_text(RECORDS)


def people(first: int, days: int, *, city: str = "") -> list[dict[str, Any]]:
    """Good records of so many days; one a day has the richest salary. `city`: all live there."""
    rng = random.Random(first)
    found = []
    for day in range(first, first + days):
        for n in range(PEOPLE_A_DAY):
            age = rng.randint(18, 80)
            salary = RICHEST if n == 0 else round(rng.uniform(20_000, 90_000), 2)
            found.append(
                {
                    "email": f"{MARK}{n}@{'ab'[n % 2]}.example",
                    "salary": salary,
                    "city": city or rng.choice(["Lund", "Ghent", "Turin"]),
                    "age": age,
                    "spent": round(age * 2 + rng.uniform(0, 9), 2),
                    "day": str(FIRST_DAY + timedelta(days=day)),
                }
            )
    return found


def wrong_people() -> list[dict[str, Any]]:
    """Records that do not fit, each in its own way, with the mark in this column or another."""
    good = people(DAYS - 1, 1)[0]
    return [
        {**good, "email": {"is": MARK}},
        {**good, "salary": f"{MARK} a year"},
        {**good, "salary": float(f"{RICH}0")},
        {**good, "age": f"{MARK} years"},
        {**good, "age": 400},
        {**good, "spent": None},
        {**good, "day": "2199-01-01"},
        {**good, MARK: MARK},
        {**good, "city": f"unclean {MARK}"},
        {**good, "city": [MARK]},
    ]


def lists() -> dict[str, bytes]:
    """Objects of CSV: one with records that do not fit, and some that are quarantined whole."""
    header = "email,salary,city,age,spent,day\n"
    good = f"{MARK}list@a.example,{RICHEST},Lund,30,60,{FIRST_DAY}\n"
    wrong = (
        f"{MARK}slipped@a.example,1,Lund,{MARK} Smith,60,{FIRST_DAY}\n"
        f"{MARK}short@a.example,1,Lund\n"
        f"{MARK}rich@a.example,{RICH}0,Lund,30,60,{FIRST_DAY}\n"
        f'{MARK}quoted@a.example,1,"Lund"{MARK},30,60,{FIRST_DAY}\n'
    ).encode() + f"{MARK}\xff@a.example,1,Lund,30,60,{FIRST_DAY}\n".encode("latin-1")
    return {
        "wrong.csv": (header + good).encode() + wrong,
        "headless.csv": good.encode(),
        "endless.csv": (header + good + f'"{MARK} never ends').encode(),
    }


def lines(records: list[dict[str, Any]]) -> bytes:
    """Records as JSON lines."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)

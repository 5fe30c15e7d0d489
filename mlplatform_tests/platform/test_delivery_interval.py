"""How long a stream's delivery waits for the sake of the warehouse that loads it: each landing object is an append there."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlplatform_tests.platform.shop import shop

SNOWFLAKE = {"account": "a", "user": "u", "database": "d"}
HIVE = {"host": "h"}


@pytest.mark.parametrize(
    ("adapter", "settings", "age_s", "waits_s"),
    [
        ("ducklake", {}, 1.0, 1.0),
        ("snowflake", SNOWFLAKE, 1.0, 60.0),
        ("snowflake", {**SNOWFLAKE, "min_batch_interval_s": 5}, 1.0, 5.0),
        ("redshift", {"host": "h", "user": "u", "min_batch_interval_s": 7}, 1.0, 7.0),
        ("hive", HIVE, 1.0, 60.0),
        ("hive", {**HIVE, "min_batch_interval_s": 0}, 1.0, 1.0),
        ("hive", HIVE, 300.0, 300.0),
    ],
)
def test_a_record_waits_as_long_as_the_warehouse_wants_between_appends(
    adapter: str, settings: dict[str, Any], age_s: float, waits_s: float, tmp_path: Path
) -> None:
    with shop(tmp_path, adapter, settings, age_s=age_s) as stations:
        delivery, before = stations.delivery("ticks"), datetime.now(UTC)
        stations.producer("ticks").put([json.dumps({"ticker": "A"}).encode()])
        waits, rounded = timedelta(seconds=waits_s), timedelta(milliseconds=2)
        assert delivery.deliver(before + waits - rounded) == []
        (done,) = delivery.deliver(datetime.now(UTC) + waits + rounded)
        assert done.records == 1


def test_a_stream_whose_warehouse_is_not_there_is_delivered_by_its_own_time(tmp_path: Path) -> None:
    with shop(tmp_path, "ducklake", {}, connection="lake") as stations:
        assert stations.delivery("ticks").max_age == timedelta(seconds=1)

"""The shipped system on AWS's services, by nothing but the profile's connections: S3, Kinesis, DynamoDB, Parameter Store, SNS.

The warehouse, jobs, endpoints and the tracker stay on this machine.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from mlplatform.platform import open_platform
from mlplatform_tests.conformance.notification_places import Topic
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.systems.demo import whole_loop
from mlplatform_tests.systems.test_stock_prices_on_warehouses import SYSTEM, Bound, project

__all__ = ["ministack_server"]


@dataclass(frozen=True)
class Aws:
    """A project bound to services that are its own: the environment that chooses it, and the topic it tells."""

    env: dict[str, str]
    topic: Topic


@pytest.fixture
def aws(ministack_server: Ministack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    env = {
        "AWS_ENDPOINT_URL": ministack_server.endpoint_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    # boto3 keeps a session, which read the environment when it was made.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    unique = uuid.uuid4().hex
    boto3.client("s3").create_bucket(Bucket=unique)
    topic = Topic(ministack_server)
    bound = {
        "objects": ("object_store", "s3", {"bucket": unique}),
        "streams": ("stream", "kinesis", {"prefix": f"{unique}-", "create": True}),
        "items": ("item_store", "dynamodb", {"table": unique, "create": True}),
        "secrets": ("secrets", "ssm", {"prefix": f"/{unique}/"}),
        "notifications": ("notifications", "sns", {"topic_arn": topic.arn}),
    }
    chosen = project(Bound({"adapter": "ducklake"}), tmp_path)
    path = tmp_path / "profiles" / "bound.yaml"
    profile = yaml.safe_load(path.read_text())
    for name, (port, adapter, settings) in bound.items():
        profile["connections"][name] = {"port": port, "adapter": adapter, "settings": settings}
    path.write_text(yaml.safe_dump(profile))
    yield Aws({**env, **chosen}, topic)
    topic.close()


def tick(number: int) -> bytes:
    record = {
        "trading_day": (date(2025, 1, 1) + timedelta(days=number)).isoformat(),
        "ticker_symbol": f"T{number % 5:02d}",
        "sector": "Energy",
        "change": 0.5,
        "price": 100.0 + number,
    }
    return json.dumps(record).encode()


def test_records_reach_the_table_and_people_the_word(aws: Aws) -> None:
    with closing(open_platform(aws.env)) as platform:
        stations = platform.system(SYSTEM)
        stations.prepare()
        [stream] = {source.stream for source in stations.ingest("stock_table").spec.sources if source.stream}
        results = stations.producer(stream).put([tick(number) for number in range(300)])
        assert [r.error_code for r in results] == [""] * 300
        delivered = stations.delivery(stream).deliver(datetime.now(UTC) + timedelta(hours=1))
        assert sum(d.records for d in delivered) == 300
        receipts = stations.ingest("stock_table").run()
        assert (sum(r.arrived for r in receipts), sum(r.loaded for r in receipts)) == (300, 300)
        [people] = stations.notifies()
        assert people.gate_failed("stock_model", "0123", "It is worse") is True
        home = platform.home
    assert [message["Subject"] for message in aws.topic.told()] == [
        f"[{SYSTEM}] A candidate of stock_model did not pass its gate"
    ]
    assert not home.items.exists()
    assert not home.streams.exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_loop_runs_as_on_what_is_embedded(aws: Aws, tmp_path: Path) -> None:
    facts: dict[str, Any] = whole_loop({**os.environ, **aws.env}, tmp_path / "report.json")
    assert facts["rows"] == 153_580 + 10 + 12_680
    assert facts["sample_rows"] == [10, 0, 0]
    found = [facts[f"quarter_{n}"]["r2"] for n in range(1, 6)]
    assert found == pytest.approx([0.88, 0.84, 0.77, 0.68, 0.57], abs=0.03)
    assert [facts[f"quarter_{n}"]["passed"] for n in range(1, 6)] == [True, True, True, True, False]
    assert facts["retraining"]["verdict"]["outcome"] == "better"
    assert facts["failed_calls"] == 0
    assert set(facts["answers_by_generation"]) == {"1", "2"}
    assert any("serves version" in message["Subject"] for message in aws.topic.told())

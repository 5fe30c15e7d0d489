"""Where Firehose delivers, the worker does not: Firehose's objects are loaded exactly once, its errors are evidence."""

from __future__ import annotations

import base64
import gzip
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from mlplatform.core.loads.landing import landing_key, landing_line
from mlplatform.errors import ConflictError, NotFoundError
from mlplatform.platform import Platform, open_platform
from mlplatform.platform.applied import apply_specs, plan_changes
from mlplatform.stations.ingest import Ingest
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.ministack.functions import archived, function
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.stations.landed_house import told

__all__ = ["ministack_server"]

LOCAL = Path(__file__).parents[2] / "profiles" / "local.yaml"
DEFS = """type: mlplatform.Stream
attributes: {name: ticks, partition_key: k, delivery: {prefix: shop/in/}}
---
type: mlplatform.Table
attributes:
  name: sold
  columns: [{name: k}, {name: n, type: bigint}]
  sources: [{stream: ticks}, {prefix: shop/in/, suffix: .csv}]
  unique_key: [n]
"""
ROLE = "arn:aws:iam::000000000000:role/firehose"


def opened(server: Ministack, folder: Path, bucket: str, **delivery: Any) -> Platform:
    """A system whose stream Firehose delivers."""
    (folder / "defs" / "shop").mkdir(parents=True)
    (folder / "defs" / "shop" / "defs.yaml").write_text(DEFS)
    (folder / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "shop"\n')
    place = {"endpoint_url": server.endpoint_url, "region": "us-east-1"}
    settings = {**place, "prefix": f"{bucket}-", "create": True, "delivery": {"by": "firehose", **delivery}}
    profile = {**yaml.safe_load(LOCAL.read_text()), "name": "hosed"}
    profile["connections"]["objects"] = {
        "port": "object_store",
        "adapter": "s3",
        "settings": {**place, "bucket": bucket, "prefix": "below"},
    }
    profile["connections"]["streams"] = {"port": "stream", "adapter": "kinesis", "settings": settings}
    (folder / "profiles").mkdir()
    (folder / "profiles" / "hosed.yaml").write_text(yaml.safe_dump(profile))
    env = {
        "MLPLATFORM_HOME": str(folder / "home"),
        "MLPLATFORM_DEFS": str(folder / "defs"),
        "MLPLATFORM_PROFILE": "hosed",
    }
    return open_platform(env)


@pytest.fixture
def bucket(ministack_server: Ministack, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    name = f"test-{uuid.uuid4().hex}"
    with closing(boto3.client("s3", **ministack_server.client_options)) as client:
        client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def shop(ministack_server: Ministack, bucket: str, tmp_path: Path) -> Iterator[Platform]:
    with closing(opened(ministack_server, tmp_path, bucket, create=True, role_arn=ROLE, gzip=False)) as platform:
        yield platform


def hosed(name: str, second: int, *, suffix: str = ".jsonl.gz") -> str:
    """A key as Firehose gives it."""
    return f"shop/in/firehose/2026/03/01/17/{name}-1-2026-03-01-17-04-{second:02d}-{uuid.uuid4()}{suffix}"


def lines(*numbers: int) -> bytes:
    return b"".join(b'{"k":"a","n":%d}\n' % number for number in numbers)


def test_what_is_put_on_the_stream_comes_into_the_table_by_firehose(shop: Platform) -> None:
    stations = shop.system("shop")
    stations.prepare()
    assert stations.delivery("ticks").deliver(datetime.now(UTC)) == []
    stations.producer("ticks").put([b'{"k":"a","n":%d}' % number for number in range(5)])
    assert arrived(stations.ingest("sold"), 5) == 5
    assert not [info.key for info in shop.store.list("shop/in/") if "/firehose/" not in info.key]


def test_what_was_on_the_stream_before_firehose_began_is_delivered_by_the_worker(shop: Platform) -> None:
    stations = shop.system("shop")
    stations.prepare()
    stations.producer("ticks").put([b'{"k":"a","n":%d}' % number for number in range(5)])
    delivery = stations.delivery("ticks")
    assert [waiting.oldest_at is None for waiting in delivery.pending()].count(False) == 1
    (done,) = delivery.deliver(datetime.now(UTC) + timedelta(seconds=5))
    assert done.records == 5
    stations.producer("ticks").put([b'{"k":"a","n":%d}' % number for number in range(5, 8)])
    assert arrived(stations.ingest("sold"), 8) == 8


@pytest.mark.slow
def test_what_firehose_transforms_by_the_platforms_function_comes_into_the_table(
    ministack_server: Ministack, bucket: str, tmp_path: Path
) -> None:
    own = "def clean(data):\n    return None if b'beat' in data else data.replace(b'a', b'b')\n"
    archive = archived({"records.py": own}, "mlplatform", "msgspec")
    handler = "mlplatform.entrypoints.firehose_transform.handler"
    with function(ministack_server, handler, archive, {"MLPLATFORM_TRANSFORM": "records:clean"}) as transforming:
        delivery = {"create": True, "role_arn": ROLE, "gzip": False, "lambda_arn": transforming.arn}
        with closing(opened(ministack_server, tmp_path, bucket, **delivery)) as shop:
            stations = shop.system("shop")
            stations.prepare()
            stations.delivery("ticks").deliver(datetime.now(UTC))
            stations.producer("ticks").put([b'{"k":"a","n":1}', b'{"beat":1}', b'{"k":"a","n":2}'])
            assert arrived(stations.ingest("sold"), 2) == 2
            rows = stations.warehouse().query("SELECT k, n FROM sold ORDER BY n").to_pylist()
    assert rows == [{"k": "b", "n": 1}, {"k": "b", "n": 2}]


def arrived(ingest: Ingest, rows: int) -> int:
    """Rows that are loaded, until there are so many, or some seconds have passed."""
    end, loaded = time.monotonic() + 20, 0
    while loaded < rows and time.monotonic() < end:
        loaded += sum(receipt.loaded for receipt in ingest.run())
        time.sleep(0.05)
    return loaded


def test_an_object_of_many_records_is_loaded_once_and_what_firehose_wrote_twice_is_a_duplicate(shop: Platform) -> None:
    ingest = shop.system("shop").ingest("sold")
    first = hosed("s", 1)
    shop.store.put(first, gzip.compress(lines(1, 2, 3), mtime=0))
    assert told(ingest.run()) == [(first, "loaded", 3, 3)]
    assert ingest.run() == []
    # Some records again, with others; and a whole object again, under another name.
    second, third = hosed("s", 2), hosed("s", 3)
    shop.store.put(second, gzip.compress(lines(3, 4), mtime=0))
    shop.store.put(third, gzip.compress(lines(3, 4), mtime=0))
    (again, whole) = ingest.run()
    assert (again.key, again.loaded, again.duplicates) == (second, 1, 1)
    assert (whole.key, whole.outcome, whole.arrived, whole.duplicates) == (third, "refused", 2, 2)


def test_what_firehose_could_not_transform_is_evidence_in_the_quarantine(shop: Platform) -> None:
    document = {
        "attemptsMade": 4,
        "arrivalTimestamp": 1772384640000,
        "errorCode": "Lambda.FunctionError",
        "errorMessage": "The Lambda function returned a failure.",
        "rawData": base64.b64encode(b"{").decode(),
    }
    key = f"shop/in/firehose-errors/processing-failed/2026/03/01/17/s-1-{uuid.uuid4()}"
    shop.store.put(key, json.dumps(document).encode() + b"\n")
    ingest = shop.system("shop").ingest("sold")
    (receipt,) = ingest.run()
    assert (receipt.key, receipt.arrived, receipt.quarantined) == (key, 1, 1)
    assert shop.system("shop").quarantine("sold").list()[0].raw == json.dumps(document).encode()


def test_ranges_that_were_delivered_before_are_loaded_too(shop: Platform) -> None:
    sequence = "1".zfill(56)
    key = landing_key("shop/in/", "shardId-000000000000", "", sequence)
    shop.store.put(key, landing_line(sequence, b'{"k":"a","n":9}'))
    ingest = shop.system("shop").ingest("sold")
    assert told(ingest.run()) == [(key, "loaded", 1, 1)]
    assert ingest.run() == []


def test_the_delivery_stream_is_made_once(shop: Platform, ministack_server: Ministack, bucket: str) -> None:
    shop.system("shop").prepare()
    shop.system("shop").delivery("ticks").deliver(datetime.now(UTC))
    shop.close()
    shop.system("shop").delivery("ticks").deliver(datetime.now(UTC))
    with closing(boto3.client("firehose", **ministack_server.client_options)) as client:
        about = client.describe_delivery_stream(DeliveryStreamName=f"{bucket}-shop-ticks")["DeliveryStreamDescription"]
    assert about["DeliveryStreamType"] == "KinesisStreamAsSource"
    (destination,) = about["Destinations"]
    assert destination["ExtendedS3DestinationDescription"]["Prefix"] == (
        "below/shop/in/firehose/!{timestamp:yyyy/MM/dd/HH}/"
    )


def test_one_that_is_not_there_and_is_not_to_be_made_is_named(
    ministack_server: Ministack, bucket: str, tmp_path: Path
) -> None:
    with closing(opened(ministack_server, tmp_path, bucket)) as platform:
        with pytest.raises(NotFoundError, match=r"Delivery stream .*-shop-ticks") as refused:
            platform.system("shop").delivery("ticks").deliver(datetime.now(UTC))
        assert "create: true" in refused.value.next_step


def test_one_that_writes_where_nothing_is_loaded_from_is_refused(
    shop: Platform, ministack_server: Ministack, bucket: str
) -> None:
    shop.system("shop").prepare()
    name = f"{bucket}-shop-ticks"
    source = f"arn:aws:kinesis:us-east-1:000000000000:stream/{name}"
    with closing(boto3.client("firehose", **ministack_server.client_options)) as client:
        client.create_delivery_stream(
            DeliveryStreamName=name,
            DeliveryStreamType="KinesisStreamAsSource",
            KinesisStreamSourceConfiguration={"KinesisStreamARN": source, "RoleARN": ROLE},
            ExtendedS3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": f"arn:aws:s3:::{bucket}", "Prefix": "a/"},
        )
    with pytest.raises(ConflictError, match=r"prefix is 'a/', expected one that begins with 'below/shop/in/firehose/'"):
        shop.system("shop").delivery("ticks").deliver(datetime.now(UTC))


def test_what_is_delivered_elsewhere_is_no_change_of_the_yaml(shop: Platform) -> None:
    apply_specs(shop, now=datetime.now(UTC))
    assert [plan.changes for plan in plan_changes(shop)] == [()]

"""A system whose objects and items are AWS's, which refuses on the way: started again, each station goes on, and no row is twice."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pyarrow.csv as pacsv
import pytest
import yaml

from mlplatform.errors import PermissionDeniedError, PlatformError, ThrottledError
from mlplatform.platform import Platform, open_platform
from mlplatform_tests.components.site import PACKAGE, SYSTEM
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.prices import price_rows
from mlplatform_tests.servers.ministack.faults import Faults, faults_before
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.systems.test_stock_prices_on_aws_services import tick
from mlplatform_tests.systems.test_stock_prices_on_sagemaker_endpoints import _project as project

__all__ = ["ministack_server"]

pytestmark = pytest.mark.slow

FAULTS = [
    ("ExpiredToken", 400, PermissionDeniedError, "Renew the credentials"),
    ("AccessDenied", 403, PermissionDeniedError, "Allow "),
    ("SlowDown", 503, ThrottledError, "Try again later"),
]


@pytest.fixture
def faults(ministack_server: Ministack) -> Iterator[Faults]:
    with faults_before(ministack_server.port) as found:
        yield found


@pytest.fixture
def platform(
    ministack_server: Ministack, faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    # boto3 keeps a session, which read the environment when it was made.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    bucket = f"test-{uuid.uuid4().hex}"
    with closing(boto3.client("s3", **ministack_server.client_options)) as client:
        client.create_bucket(Bucket=bucket)
    profile: dict[str, Any] = yaml.safe_load((PACKAGE.parent / "profiles" / "local.yaml").read_text("utf-8"))
    place = {"endpoint_url": faults.client_options["endpoint_url"]}
    table = {"table": f"items-{uuid.uuid4().hex}", "create": True}
    profile["connections"] |= {
        "objects": {"port": "object_store", "adapter": "s3", "settings": {"bucket": bucket, **place}},
        "items": {"port": "item_store", "adapter": "dynamodb", "settings": {**table, **place}},
    }
    env = {**project(tmp_path), "MLPLATFORM_PROFILE": "faulty"}
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "faulty.yaml").write_text(yaml.safe_dump({**profile, "name": "faulty"}), "utf-8")
    with closing(open_platform(env)) as found:
        found.system(SYSTEM).prepare()
        yield found


@pytest.mark.parametrize(("code", "status", "kind", "step"), FAULTS)
@pytest.mark.parametrize("operation", ["GetObject", "ListObjectsV2"])
def test_a_load_that_was_refused_loads_all_when_it_is_started_again(
    platform: Platform, faults: Faults, operation: str, code: str, status: int, kind: type[PlatformError], step: str
) -> None:
    table = platform.system(SYSTEM).ingest("stock_table")
    for number in range(3):
        file = io.BytesIO()
        pacsv.write_csv(price_rows(number * 5, number * 5 + 5), file)
        platform.store.put(f"{SYSTEM}/base/{number}.csv", file.getvalue())
    faults.refuse(operation, code, status=status, times=99)
    with pytest.raises(kind, match=rf"S3 answered {code} to {operation}.*{step}"):
        table.run()
    faults.mend()
    assert sum(receipt.loaded for receipt in table.run()) == 300
    assert table.run() == []


@pytest.mark.parametrize(("code", "status", "kind", "step"), FAULTS)
def test_a_delivery_that_was_refused_delivers_each_record_once_when_it_is_started_again(
    platform: Platform, faults: Faults, code: str, status: int, kind: type[PlatformError], step: str
) -> None:
    stations, until = platform.system(SYSTEM), datetime.now(UTC) + timedelta(hours=1)
    results = stations.producer("stock_stream").put([tick(number) for number in range(300)])
    assert [result.error_code for result in results] == [""] * 300
    faults.refuse("PutObject", code, status=status, times=99)
    with pytest.raises(kind, match=rf"answered {code} to PutObject.*{step}"):
        stations.delivery("stock_stream").deliver(until)
    faults.mend()
    stations.delivery("stock_stream").deliver(until)
    assert stations.delivery("stock_stream").deliver(until) == []
    receipts = stations.ingest("stock_table").run()
    assert [sum(getattr(r, name) for r in receipts) for name in ("arrived", "loaded", "duplicates")] == [300, 300, 0]

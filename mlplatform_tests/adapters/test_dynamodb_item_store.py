"""What is DynamoDB's alone in its item store: its limits, its table, answers that are lost, servers that refuse or are away."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from mlplatform.adapters.item_store.dynamodb import MAX_ITEM_BYTES, DynamoDbItemStore, DynamoDbSettings
from mlplatform.errors import (
    ConflictError,
    DataError,
    NotFoundError,
    PermissionDeniedError,
    PlatformError,
    ProfileError,
    ThrottledError,
    TimedOutError,
    UnavailableError,
)
from mlplatform.ports.item_store import Item
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.ministack.faults import Faults, faults_before
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.ports import free_port

__all__ = ["ministack_server"]


@pytest.fixture
def faults(ministack_server: Ministack) -> Iterator[Faults]:
    with faults_before(ministack_server.port) as found:
        yield found


@pytest.fixture
def items(faults: Faults) -> Iterator[DynamoDbItemStore]:
    settings = DynamoDbSettings(table=f"items-{uuid.uuid4().hex}", create=True)
    store = DynamoDbItemStore(settings, client_options=faults.client_options)
    store.put("c", "first", {})
    faults.calls.clear()
    yield store
    store.close()


def test_table_is_made_once_and_paid_by_request(ministack_server: Ministack) -> None:
    table = f"items-{uuid.uuid4().hex}"
    client: Any = boto3.client("dynamodb", **ministack_server.client_options)
    for version in (1, 2):
        store = DynamoDbItemStore(
            DynamoDbSettings(table=table, create=True), client_options=ministack_server.client_options
        )
        assert store.put("c", "k", {}).version == version
        store.close()
    made = client.describe_table(TableName=table)["Table"]
    assert made["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    client.close()


def test_missing_table_that_may_not_be_made(ministack_server: Ministack) -> None:
    store = DynamoDbItemStore(DynamoDbSettings(table="nowhere"), client_options=ministack_server.client_options)
    with pytest.raises(NotFoundError, match=r"'c/k' in DynamoDB's table 'nowhere': .*create: true") as error:
        store.get("c", "k")
    assert "ResourceNotFoundException to GetItem" in str(error.value)
    store.close()


def test_largest_item_comes_back_and_a_larger_one_is_refused(items: DynamoDbItemStore) -> None:
    value = {"text": "x" * (MAX_ITEM_BYTES - 530)}
    items.put("c", "k", value)
    assert items.get("c", "k") == Item("k", value, 1)
    with pytest.raises(DataError, match=rf"'c/k' has \d+ bytes; DynamoDB takes {MAX_ITEM_BYTES}\. .*object store"):
        items.put("c", "k", {"text": "x" * (MAX_ITEM_BYTES - 500)})


@pytest.mark.parametrize("key", ["", "k" * 1025, "\ud800"])
def test_keys_that_dynamodb_does_not_take(items: DynamoDbItemStore, key: str, faults: Faults) -> None:
    with pytest.raises(DataError, match="key"):
        items.put("c", key, {})
    assert faults.calls == []


def test_list_of_items_that_fill_several_answers(items: DynamoDbItemStore, faults: Faults) -> None:
    for number in range(8):
        items.put("large", str(number), {"text": "x" * 300_000})
    assert [item.key for item in items.list("large")] == list("01234567")
    assert faults.calls.count("Query") > 1


@pytest.mark.parametrize("expected", [None, 0])
def test_write_whose_answer_was_lost_is_done_once(
    items: DynamoDbItemStore, faults: Faults, expected: int | None
) -> None:
    faults.lose_answer("UpdateItem")
    assert items.put("c", "k", {"n": 1}, expected_version=expected) == Item("k", {"n": 1}, 1)
    assert faults.calls == ["UpdateItem", "UpdateItem"]
    assert items.get("c", "k") == Item("k", {"n": 1}, 1)
    with pytest.raises(ConflictError, match="is at version 1; expected 0"):
        items.put("c", "k", {"n": 2}, expected_version=0)


@pytest.mark.parametrize(
    ("code", "status"),
    [("ThrottlingException", 400), ("ProvisionedThroughputExceededException", 400), ("InternalServerError", 500)],
)
def test_throttled_and_failing_calls_are_tried_again(
    items: DynamoDbItemStore, faults: Faults, code: str, status: int
) -> None:
    faults.refuse("GetItem", code, status=status, times=2)
    assert items.get("c", "first") == Item("first", {}, 1)
    assert faults.calls == ["GetItem"] * 3


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ProvisionedThroughputExceededException", 400, ThrottledError),
        ("InternalServerError", 500, UnavailableError),
        ("ExpiredTokenException", 400, PermissionDeniedError),
        ("AccessDeniedException", 400, PermissionDeniedError),
    ],
)
def test_calls_that_go_on_failing(
    items: DynamoDbItemStore, faults: Faults, code: str, status: int, kind: type[PlatformError]
) -> None:
    faults.refuse("UpdateItem", code, status=status, times=2)
    impatient = DynamoDbItemStore(items.settings, client_options=faults.impatient_options)
    with pytest.raises(kind, match=rf"'c/k' in DynamoDB's table '.*answered {code} to UpdateItem: as the test says"):
        impatient.put("c", "k", {})
    impatient.close()
    assert items.get("c", "k") is None


def test_server_that_does_not_answer_in_time(items: DynamoDbItemStore, faults: Faults) -> None:
    quick = {"config": Config(read_timeout=0.2, retries={"total_max_attempts": 2})}
    impatient = DynamoDbItemStore(items.settings, client_options={**faults.client_options, **quick})
    faults.slow("UpdateItem", 1.0, times=2)
    with pytest.raises(
        TimedOutError, match=r"'c/k' in DynamoDB's table .*Read timeout.* check region, endpoint and network"
    ):
        impatient.put("c", "k", {})
    impatient.close()


def test_server_that_is_away() -> None:
    settings = DynamoDbSettings(table="items", endpoint_url=f"http://127.0.0.1:{free_port()}", region="us-east-1")
    store = DynamoDbItemStore(settings, client_options={"aws_access_key_id": "a", "aws_secret_access_key": "b"})
    with pytest.raises(UnavailableError, match="check region, endpoint and network"):
        store.get("c", "k")
    store.close()


def test_no_region_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ProfileError, match=r"dynamodb cannot be made: You must specify a region\. .*region"):
        DynamoDbItemStore(DynamoDbSettings(table="items"))

"""The suite of the item store port on DynamoDB itself."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from mlplatform.adapters.item_store.dynamodb import DynamoDbItemStore, DynamoDbSettings
from mlplatform_tests.conformance import test_item_store as suite
from mlplatform_tests.conformance.item_stores import MakeItemStore, items

__all__ = ["items"]

globals().update({name: test for name, test in vars(suite).items() if name.startswith("test_")})


@pytest.fixture
def make_item_store(unique: str) -> Iterator[MakeItemStore]:
    """In a table of its own, which is deleted afterwards."""
    opened: list[DynamoDbItemStore] = []

    def make() -> DynamoDbItemStore:
        opened.append(DynamoDbItemStore(DynamoDbSettings(table=unique, create=True)))
        return opened[-1]

    yield make
    for store in opened:
        store.close()
    delete_table(unique)


def delete_table(name: str) -> None:
    """No error where there is none."""
    client = boto3.client("dynamodb")
    try:
        client.delete_table(TableName=name)
    except client.exceptions.ResourceNotFoundException:
        return
    finally:
        client.close()

"""The suite of the item store port on DynamoDB, by somebody who may do only what the page on profiles lists."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from mlplatform.adapters.item_store.dynamodb import DynamoDbItemStore, DynamoDbSettings
from mlplatform_tests.aws_calls.identities import permitted, strict_server
from mlplatform_tests.conformance import test_item_store as suite
from mlplatform_tests.conformance.item_stores import MakeItemStore, items
from mlplatform_tests.servers.ministack.server import Ministack

__all__ = ["items", "strict_server"]

pytestmark = pytest.mark.slow
globals().update({name: test for name, test in vars(suite).items() if name.startswith("test_")})


@pytest.fixture
def make_item_store(strict_server: Ministack) -> Iterator[MakeItemStore]:
    table, opened = f"test-{uuid.uuid4().hex}", list[DynamoDbItemStore]()
    options = permitted(strict_server, "item_store: dynamodb", TABLE=table)

    def make() -> DynamoDbItemStore:
        opened.append(DynamoDbItemStore(DynamoDbSettings(table=table, create=True), client_options=options))
        return opened[-1]

    yield make
    for store in opened:
        store.close()

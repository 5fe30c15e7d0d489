"""Every item store adapter, empty, for the suite of the port."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlplatform.adapters.item_store.dynamodb import DynamoDbItemStore, DynamoDbSettings
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.ports.item_store import ItemStore
from mlplatform_tests.servers.ministack.server import Ministack

ADAPTERS = ("sqlite", "dynamodb")

MakeItemStore = Callable[[], ItemStore]
"""Opens the test's store, from the second call on the same one anew, as another process would."""


@pytest.fixture(params=ADAPTERS)
def make_item_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeItemStore]:
    opened: list[SqliteItemStore | DynamoDbItemStore] = []
    table = f"items-{uuid.uuid4().hex}"

    def make() -> ItemStore:
        if request.param == "sqlite":
            opened.append(SqliteItemStore(tmp_path / "state" / "items.sqlite"))
        else:
            opened.append(dynamodb_items(request.getfixturevalue("ministack_server"), table))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def items(make_item_store: MakeItemStore) -> ItemStore:
    return make_item_store()


def dynamodb_items(server: Ministack, table: str) -> DynamoDbItemStore:
    """The store in `table` of `server`, which is made on first use."""
    settings = DynamoDbSettings(table=table, create=True)
    return DynamoDbItemStore(settings, client_options=server.client_options)

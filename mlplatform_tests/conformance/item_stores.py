"""Every item store adapter, empty, for the suite of the port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.ports.item_store import ItemStore

ADAPTERS = ("sqlite",)

MakeItemStore = Callable[[], ItemStore]
"""Opens the test's store, from the second call on the same one anew, as another process would."""


@pytest.fixture(params=ADAPTERS)
def make_item_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeItemStore]:
    opened: list[SqliteItemStore] = []

    def make() -> ItemStore:
        opened.append(SqliteItemStore(tmp_path / "state" / "items.sqlite"))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def items(make_item_store: MakeItemStore) -> ItemStore:
    return make_item_store()

"""The suite of the object store port on S3 itself."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.conformance import test_object_store as suite

globals().update({name: test for name, test in vars(suite).items() if name.startswith("test_")})


@pytest.fixture
def object_store(unique: str) -> Iterator[ObjectStore]:
    """Below a prefix of its own, all of which is deleted afterwards."""
    store = S3ObjectStore(os.environ["MLPLATFORM_BUCKET"], unique)
    yield store
    for info in list(store.list("")):
        store.delete(info.key)
    store.close()

"""Every object store adapter, empty, for the suite of the port (and for others that need a store)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.servers.ministack.server import Ministack, ministack

ADAPTERS = ("directory", "s3")


@pytest.fixture(scope="session")
def ministack_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    with ministack(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture(params=ADAPTERS)
def object_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    if request.param == "directory":
        yield DirectoryObjectStore(tmp_path_factory.mktemp("objects"))
    else:
        store = s3_store(request.getfixturevalue("ministack_server"))
        yield store
        store.close()


def s3_store(server: Ministack, prefix: str = "below/here") -> S3ObjectStore:
    """A store in a new bucket of `server`."""
    import boto3

    bucket = f"test-{uuid.uuid4().hex}"
    client = boto3.client("s3", **server.client_options)
    client.create_bucket(Bucket=bucket)
    client.close()
    return S3ObjectStore(bucket, prefix, client_options=server.client_options)

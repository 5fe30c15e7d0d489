"""The suite of the object store port on S3, by somebody who may do only what the page on profiles lists."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing

import boto3
import pytest

from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.aws_calls.identities import permitted, strict_server
from mlplatform_tests.conformance import test_object_store as suite
from mlplatform_tests.servers.ministack.server import Ministack

__all__ = ["strict_server"]

pytestmark = pytest.mark.slow
globals().update({name: test for name, test in vars(suite).items() if name.startswith("test_")})


@pytest.fixture
def object_store(strict_server: Ministack) -> Iterator[ObjectStore]:
    bucket = f"test-{uuid.uuid4().hex}"
    with closing(boto3.client("s3", **strict_server.client_options)) as client:
        client.create_bucket(Bucket=bucket)
    options = permitted(strict_server, "object_store: s3", BUCKET=bucket, PREFIX="below")
    with closing(S3ObjectStore(bucket, "below", client_options=options)) as store:
        yield store

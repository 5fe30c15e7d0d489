"""What is S3's alone in its object store: uploads in parts, servers that refuse or are away."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import boto3
import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError

from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.adapters.object_store.s3_errors import mapped
from mlplatform.errors import (
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    PlatformError,
    ProfileError,
    ThrottledError,
    TimedOutError,
    UnavailableError,
    UserError,
)
from mlplatform_tests.conformance.object_stores import ministack_server, s3_store
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.ports import free_port

__all__ = ["ministack_server"]

MIB = 1024 * 1024


@pytest.fixture
def store(ministack_server: Ministack) -> Iterator[S3ObjectStore]:
    found = s3_store(ministack_server)
    yield found
    found.close()


@pytest.fixture
def client(ministack_server: Ministack) -> Iterator[Any]:
    found = boto3.client("s3", **ministack_server.client_options)
    yield found
    found.close()


def bucket_of(store: S3ObjectStore) -> str:
    return store.url("x").split("/")[2]


def test_keys_lie_below_the_prefix_of_the_store(store: S3ObjectStore, client: Any) -> None:
    store.put("a", b"x")
    client.put_object(Bucket=bucket_of(store), Key="below/hereafter", Body=b"of a neighbour")
    listed = client.list_objects_v2(Bucket=bucket_of(store))["Contents"]
    assert [found["Key"] for found in listed] == ["below/here/a", "below/hereafter"]
    assert [info.key for info in store.list("")] == ["a"]
    assert store.url("a") == f"s3://{bucket_of(store)}/below/here/a"


def test_folder_markers_are_no_objects(store: S3ObjectStore, client: Any) -> None:
    client.put_object(Bucket=bucket_of(store), Key="below/here/folder/", Body=b"")
    store.put("folder/a", b"x")
    assert [info.key for info in store.list("")] == ["folder/a"]


class Broken(io.RawIOBase):
    """Ends with an error after 20 MiB."""

    given = 0

    def read(self, size: int = -1) -> bytes:
        self.given += MIB
        if self.given > 20 * MIB:
            raise ConnectionResetError("the source broke")
        return b"x" * MIB


def test_failed_upload_leaves_no_parts(store: S3ObjectStore, client: Any) -> None:
    store.put("k", b"old")
    with pytest.raises(ConnectionResetError):
        store.put("k", cast(BinaryIO, Broken()))
    with pytest.raises(ConflictError, match="PreconditionFailed"):
        store.put("k", b"x" * (9 * MIB), if_absent=True)
    assert client.list_multipart_uploads(Bucket=bucket_of(store)).get("Uploads", []) == []


def test_no_such_bucket(ministack_server: Ministack) -> None:
    store = S3ObjectStore("no-such-bucket", client_options=ministack_server.client_options)
    with pytest.raises(NotFoundError, match=r"s3://no-such-bucket/k: S3 answered NoSuchBucket .* \(in us-east-1\)"):
        store.put("k", b"")
    with pytest.raises(NotFoundError, match="NoSuchBucket"):
        list(store.list(""))
    store.close()


def test_a_missing_bucket_is_told_where_one_object_is_asked_for(ministack_server: Ministack) -> None:
    store = S3ObjectStore("no-such-bucket", client_options=ministack_server.client_options)
    with pytest.raises(NotFoundError, match=r"s3://no-such-bucket/k: S3 answered NoSuchBucket"):
        store.head("k")
    store.close()


@pytest.mark.parametrize("size", [1, 9 * MIB])
@pytest.mark.parametrize("if_absent", [False, True])
def test_objects_are_encrypted_with_the_key_of_the_settings(
    ministack_server: Ministack, client: Any, size: int, if_absent: bool
) -> None:
    key = "arn:aws:kms:us-east-1:111122223333:key/of-objects"
    bucket = f"sealed-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    store = S3ObjectStore(bucket, kms_key=key, client_options=ministack_server.client_options)
    store.put("k", b"x" * size, if_absent=if_absent)
    store.close()
    found = client.head_object(Bucket=bucket, Key="k")
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", key)


def test_server_that_is_away() -> None:
    away = f"http://127.0.0.1:{free_port()}"
    options = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    store = S3ObjectStore("bucket", endpoint_url=away, region="us-east-1", client_options=options)
    with pytest.raises(UnavailableError, match=r"s3://bucket/k: .*check region, endpoint and network"):
        store.put("k", b"")
    store.close()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("AccessDenied", PermissionDeniedError),
        ("ExpiredToken", PermissionDeniedError),
        ("SlowDown", ThrottledError),
        ("ConditionalRequestConflict", UnavailableError),
        ("EntityTooLarge", UserError),
        ("PermanentRedirect", ProfileError),
        ("AuthorizationHeaderMalformed", ProfileError),
        ("InternalError", UnavailableError),
        (NoCredentialsError(), PermissionDeniedError),
        (ReadTimeoutError(endpoint_url="http://s3"), TimedOutError),
    ],
)
def test_errors_become_the_platforms(error: Exception | str, kind: type[PlatformError]) -> None:
    if isinstance(error, str):
        status = 500 if error == "InternalError" else 400
        answer: Any = {"Error": {"Code": error, "Message": "m."}, "ResponseMetadata": {"HTTPStatusCode": status}}
        error = ClientError(answer, "PutObject")
    with pytest.raises(kind, match="s3://b/k: ") as raised, mapped("s3://b/k"):
        raise error
    assert type(raised.value) is kind

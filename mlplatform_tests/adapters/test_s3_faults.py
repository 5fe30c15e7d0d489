"""S3 when it is too busy, broken, slow, or its answer is lost: what passes is waited for, what does not is told."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from mlplatform.adapters.object_store.s3 import PART_BYTES, S3ObjectStore
from mlplatform.errors import ConflictError, PermissionDeniedError, PlatformError, ThrottledError, UnavailableError
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.ministack.faults import Faults, faults_before
from mlplatform_tests.servers.ministack.server import Ministack

__all__ = ["ministack_server"]


@pytest.fixture
def faults(ministack_server: Ministack) -> Iterator[Faults]:
    with faults_before(ministack_server.port) as found:
        yield found


@pytest.fixture
def bucket(ministack_server: Ministack) -> str:
    name = f"test-{uuid.uuid4().hex}"
    client = boto3.client("s3", **ministack_server.client_options)
    client.create_bucket(Bucket=name)
    client.close()
    return name


def opened(bucket: str, options: dict[str, Any]) -> S3ObjectStore:
    return S3ObjectStore(bucket, "below", client_options=options)


@pytest.fixture
def store(faults: Faults, bucket: str) -> Iterator[S3ObjectStore]:
    found = opened(bucket, faults.client_options)
    yield found
    found.close()


@pytest.fixture
def impatient(faults: Faults, bucket: str) -> Iterator[S3ObjectStore]:
    found = opened(bucket, faults.impatient_options)
    yield found
    found.close()


def content(store: S3ObjectStore, key: str) -> bytes:
    with store.open(key) as file:
        return file.read()


@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500), ("ServiceUnavailable", 503)])
def test_what_is_refused_for_now_is_asked_again(store: S3ObjectStore, faults: Faults, code: str, status: int) -> None:
    for operation in ("PutObject", "GetObject", "ListObjectsV2", "HeadObject", "DeleteObject"):
        faults.refuse(operation, code, status=status)
    store.put("a", b"x")
    assert content(store, "a") == b"x"
    assert [info.key for info in store.list("")] == ["a"]
    assert store.head("a") is not None
    store.delete("a")
    assert [faults.calls.count(each) for each in ("PutObject", "GetObject", "ListObjectsV2", "DeleteObject")] == [2] * 4


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("SlowDown", 503, ThrottledError),
        ("InternalError", 500, UnavailableError),
        ("ExpiredToken", 400, PermissionDeniedError),
        ("AccessDenied", 403, PermissionDeniedError),
    ],
)
def test_what_stays_so_is_told_with_its_object(
    impatient: S3ObjectStore, faults: Faults, code: str, status: int, kind: type[PlatformError]
) -> None:
    for operation in ("PutObject", "ListObjectsV2"):
        faults.refuse(operation, code, status=status, times=2)
    with pytest.raises(kind, match=rf"/below/a: S3 answered {code} to PutObject"):
        impatient.put("a", b"x")
    with pytest.raises(kind, match=rf"S3 answered {code} to ListObjectsV2"):
        list(impatient.list("a"))


@pytest.mark.parametrize(
    ("code", "status", "told", "step"),
    [
        ("ExpiredToken", 400, "S3 answered ExpiredToken to ListObjectsV2", "Renew the credentials"),
        ("SignatureDoesNotMatch", 403, "S3 answered SignatureDoesNotMatch to ListObjectsV2", "Renew the credentials"),
        ("AccessDenied", 403, "S3 answered AccessDenied to ListObjectsV2", "Allow s3:ListBucket"),
    ],
)
def test_why_s3_refuses_is_told_though_it_does_not_say_so_where_one_object_is_asked_for(
    store: S3ObjectStore, faults: Faults, code: str, status: int, told: str, step: str
) -> None:
    for operation in ("HeadObject", "ListObjectsV2"):
        faults.refuse(operation, code, status=status)
    with pytest.raises(PermissionDeniedError, match=told) as raised:
        store.head("a")
    assert raised.value.next_step.startswith(step)


def test_who_may_list_but_not_read_is_told_so(store: S3ObjectStore, faults: Faults) -> None:
    faults.refuse("HeadObject", "AccessDenied", status=403)
    with pytest.raises(PermissionDeniedError, match="S3 answered 403 to HeadObject") as raised:
        store.head("a")
    assert raised.value.next_step.startswith("Allow s3:GetObject")


def test_that_the_bucket_is_there_is_asked_once(store: S3ObjectStore, faults: Faults) -> None:
    assert [store.head(key) for key in "abc"] == [None] * 3
    assert (faults.calls.count("HeadObject"), faults.calls.count("ListObjectsV2")) == (3, 1)


def test_a_slow_answer_is_waited_for(store: S3ObjectStore, faults: Faults) -> None:
    store.put("a", b"x")
    faults.slow("GetObject", 0.3)
    assert content(store, "a") == b"x"


def test_an_answer_that_never_comes_is_asked_for_again(faults: Faults, bucket: str) -> None:
    options = {**faults.client_options, "config": Config(read_timeout=0.5)}
    store = opened(bucket, options)
    store.put("a", b"x")
    faults.slow("GetObject", 2)
    assert content(store, "a") == b"x"
    store.close()


@pytest.mark.parametrize("size", [1, PART_BYTES + 1])
def test_a_conditional_put_whose_answer_was_lost_knows_its_own_object(
    store: S3ObjectStore, faults: Faults, size: int
) -> None:
    faults.lose_answer("PutObject")
    faults.lose_answer("CompleteMultipartUpload")
    done = store.put("a", b"x" * size, if_absent=True)
    assert done == store.head("a")
    assert done.size_bytes == size


def test_one_that_another_was_faster_than_is_refused_also_after_a_lost_answer(
    store: S3ObjectStore, faults: Faults
) -> None:
    store.put("a", b"x", if_absent=True)
    faults.lose_answer("PutObject")
    with pytest.raises(ConflictError):
        store.put("a", b"x", if_absent=True)


def test_a_put_in_parts_whose_last_answer_was_lost_is_done(store: S3ObjectStore, faults: Faults) -> None:
    faults.lose_answer("CompleteMultipartUpload")
    data = b"x" * (PART_BYTES + 1)
    store.put("a", data)
    assert content(store, "a") == data


def test_a_listing_goes_on_where_a_page_was_lost(store: S3ObjectStore, faults: Faults) -> None:
    for number in range(120):
        store.put(f"{number:03d}", b"")
    faults.lose_answer("ListObjectsV2", times=2)
    assert [info.key for info in store.list("")] == [f"{number:03d}" for number in range(120)]

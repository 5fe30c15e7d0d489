"""S3's events reach the queue by each of their ways, and are understood; what is asked of AWS to have them is asked once."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import pytest

from mlplatform.adapters.arrivals.s3_events import Written, written
from mlplatform.adapters.arrivals.sqs import SqsArrivals, SqsSettings
from mlplatform.adapters.object_store.s3 import S3Settings
from mlplatform.errors import (
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    PlatformError,
    ProfileError,
    UserError,
)
from mlplatform.ports.arrivals import Notice
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.ministack.faults import faults_before
from mlplatform_tests.servers.ministack.server import Ministack

__all__ = ["ministack_server"]

NAME = "base/a b+ü%.csv"


@pytest.fixture
def bucket(ministack_server: Ministack) -> Iterator[Any]:
    """A new bucket, as its client and its name."""
    client = boto3.client("s3", **ministack_server.client_options)
    name = f"test-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    yield client, name
    client.close()


def arrivals(server: Ministack, bucket: str, queue: str, *, create: bool) -> SqsArrivals:
    return SqsArrivals(
        SqsSettings(queue=queue, create=create),
        S3Settings(bucket=bucket, prefix="below/"),
        client_options=server.client_options,
    )


def received(found: SqsArrivals) -> list[Notice]:
    """What comes within some seconds; taken for good."""
    end = time.monotonic() + 20
    while True:
        notices = found.receive()
        found.done(notices.receipts)
        if notices.notices or time.monotonic() > end:
            return list(notices.notices)
        time.sleep(0.05)


def test_a_bucket_that_was_told_to_tells_the_queue(ministack_server: Ministack, bucket: Any) -> None:
    client, name = bucket
    with closing(arrivals(ministack_server, name, f"q-{uuid.uuid4().hex}", create=True)) as found:
        found.receive()
        client.put_object(Bucket=name, Key="elsewhere/x", Body=b"x")
        etag = client.put_object(Bucket=name, Key=f"below/{NAME}", Body=b"x")["ETag"].strip('"')
        assert received(found) == [Notice(NAME, etag)]
        assert found.receive().receipts == ()


def test_what_the_bucket_tells_others_stays(ministack_server: Ministack, bucket: Any) -> None:
    client, name = bucket
    client.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    queue = f"q-{uuid.uuid4().hex}"
    for _ in range(2):
        with closing(arrivals(ministack_server, name, queue, create=True)) as found:
            found.receive()
    told = client.get_bucket_notification_configuration(Bucket=name)
    assert "EventBridgeConfiguration" in told
    assert [each["QueueArn"].rpartition(":")[2] for each in told["QueueConfigurations"]] == [queue]


def test_a_rule_of_eventbridge_tells_the_queue(ministack_server: Ministack, bucket: Any) -> None:
    client, name = bucket
    queue = f"q-{uuid.uuid4().hex}"
    with (
        closing(boto3.client("events", **ministack_server.client_options)) as events,
        closing(boto3.client("sqs", **ministack_server.client_options)) as sqs,
    ):
        url = sqs.create_queue(QueueName=queue)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": [name]}}}
        events.put_rule(Name=queue, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=queue, Targets=[{"Id": "1", "Arn": arn}])
        client.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        etag = client.put_object(Bucket=name, Key=f"below/{NAME}", Body=b"x")["ETag"].strip('"')
        with closing(arrivals(ministack_server, name, queue, create=False)) as found:
            assert received(found) == [Notice(NAME, etag)]


def test_a_queue_that_is_not_there_is_named_with_what_to_do(ministack_server: Ministack, bucket: Any) -> None:
    with closing(arrivals(ministack_server, bucket[1], "nowhere", create=False)) as found:
        with pytest.raises(NotFoundError, match="Queue 'nowhere' for the events of bucket") as refused:
            found.receive()
        assert "create: true" in refused.value.next_step


@pytest.mark.parametrize(
    ("said", "kind", "step"),
    [
        (
            "Configurations overlap. Configurations on the same bucket cannot share a common event type.",
            ConflictError,
            "tells others of the same objects",
        ),
        ("Unable to validate the following destination configurations", PermissionDeniedError, "sqs:SendMessage"),
        (
            "The notification destination service region is not valid for the bucket location constraint",
            ProfileError,
            "in one region",
        ),
        ("The ARN is not well formed", UserError, ""),
    ],
)
def test_what_s3_dislikes_in_a_notification_is_told_by_its_words(
    ministack_server: Ministack, bucket: Any, said: str, kind: type[PlatformError], step: str
) -> None:
    queue = f"q-{uuid.uuid4().hex}"
    with faults_before(ministack_server.port) as faults:
        faults.refuse("PutObject", "InvalidArgument", message=said)
        settings, store = SqsSettings(queue=queue, create=True), S3Settings(bucket=bucket[1], prefix="below/")
        with closing(SqsArrivals(settings, store, client_options=faults.client_options)) as found:
            with pytest.raises(PlatformError, match=rf"bucket '{bucket[1]}' tells queue '{queue}'.*{said}") as refused:
                found.receive()
            assert type(refused.value) is kind
            assert step in refused.value.next_step
            assert found.receive().notices == ()


def test_a_bucket_that_is_not_there_is_told_as_the_bucket(ministack_server: Ministack) -> None:
    with closing(arrivals(ministack_server, "no-such-bucket", f"q-{uuid.uuid4().hex}", create=True)) as found:
        with pytest.raises(NotFoundError, match="bucket 'no-such-bucket' tells queue") as refused:
            found.receive()
        assert refused.value.next_step == "Check bucket and region of the object store."


RECORD = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": "a+b%2Bc", "eTag": "1"}}}
EVENT = {
    "source": "aws.s3",
    "detail-type": "Object Created",
    "detail": {"bucket": {"name": "b"}, "object": {"key": "a+b%2Bc", "etag": "1"}},
}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"Records": [RECORD]}, [Written("b", "a b+c", "1")]),
        (EVENT, [Written("b", "a+b%2Bc", "1")]),
        ({"Type": "Notification", "Message": json.dumps({"Records": [RECORD]})}, [Written("b", "a b+c", "1")]),
        ({"Records": [{**RECORD, "eventName": "ObjectRemoved:Delete"}]}, []),
        ({**EVENT, "detail-type": "Object Deleted"}, []),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}, []),
        ({"Records": [{"eventName": "ObjectCreated:Put"}]}, None),
        ({"hello": "world"}, None),
        ([1], None),
    ],
)
def test_messages_are_read_as_s3_writes_them(message: Any, expected: list[Written] | None) -> None:
    assert written(json.dumps(message)) == expected


def test_what_is_no_json_is_no_message() -> None:
    assert written("{") is None

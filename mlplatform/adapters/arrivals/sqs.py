"""Amazon SQS with S3's events (https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html).

S3 tells the queue directly, through an SNS topic, or through a rule of EventBridge's: all are understood. With `create` the
queue is made, its policy lets S3 send to it, and the bucket is told to; what else the bucket tells others stays. S3 allows
no two notifications of one kind whose prefixes overlap: where others have some, make a rule in EventBridge instead.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from pydantic import Field

from mlplatform.adapters.arrivals.s3_events import Written, written
from mlplatform.adapters.aws.client import AwsSettings
from mlplatform.adapters.aws.errors import aws_mapped, error_code
from mlplatform.adapters.object_store.s3 import S3Settings
from mlplatform.errors import (
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    PlatformError,
    ProfileError,
    UserError,
)
from mlplatform.ports.arrivals import Notice, Notices

log = logging.getLogger(__name__)

BATCHES = 20
"""Of ten messages each, that one asking takes at most."""
_KINDS: dict[str, type[PlatformError]] = {
    "AWS.SimpleQueueService.NonExistentQueue": NotFoundError,
    "QueueDoesNotExist": NotFoundError,
}
_STEPS: dict[type[PlatformError], str] = {
    NotFoundError: "Make the queue, or let it be made by 'create: true' in the connection's settings.",
    PermissionDeniedError: "Allow sqs:GetQueueUrl, sqs:ReceiveMessage and sqs:DeleteMessage on the queue; with 'create', also "
    "sqs:CreateQueue, sqs:GetQueueAttributes and sqs:SetQueueAttributes.",
}
_BUCKET_KINDS: dict[str, type[PlatformError]] = {"NoSuchBucket": NotFoundError}
_BUCKET_STEPS: dict[type[PlatformError], str] = {
    NotFoundError: "Check bucket and region of the object store.",
    PermissionDeniedError: "Allow s3:GetBucketNotification and s3:PutBucketNotification on the bucket.",
}
_REFUSED: tuple[tuple[str, type[PlatformError], str], ...] = (
    (
        "Unable to validate",
        PermissionDeniedError,
        "The queue has a policy already, and none of its statements lets S3 send: allow s3.amazonaws.com sqs:SendMessage there (and "
        "kms:GenerateDataKey and kms:Decrypt on the queue's key, where it has one).",
    ),
    ("region", ProfileError, "Queue and bucket must be in one region: set 'region' of the connection to the bucket's."),
    (
        "overlap",
        ConflictError,
        "The bucket tells others of the same objects: let EventBridge have its events, and make a rule for the queue.",
    ),
)
"""S3 has one code, InvalidArgument, for all that it dislikes in a notification: what it says, what that is, what to do."""


class SqsSettings(AwsSettings):
    """A connection's settings, as a profile writes them."""

    queue: str = Field(pattern=r"^[A-Za-z0-9_-]{1,80}$", description="Name of the queue, of this installation alone.")
    create: bool = Field(
        default=False, description="Whether the queue is made where it is missing, and the bucket told to send to it."
    )
    poll_s: float = Field(default=1, gt=0, description="Seconds between two askings at least.")
    page_s: float = Field(
        default=5,
        gt=0,
        description="Seconds between two pages (of a thousand keys) of the listing that finds what no notice told of.",
    )


class SqsArrivals:
    """Notices on the objects of `store`; implements `ports.arrivals.Arrivals`.

    `client_options` are further arguments of ``boto3.client``.
    """

    def __init__(
        self, settings: SqsSettings, store: S3Settings, *, client_options: Mapping[str, Any] | None = None
    ) -> None:
        self.poll_s = settings.poll_s
        self.page_s = settings.page_s
        self._settings = settings
        self._bucket = store.bucket
        below = store.prefix.strip("/")
        self._below = f"{below}/" if below else ""
        self._store = store
        self._options = client_options
        self._client = settings.client("sqs", client_options)
        self._url = ""

    def receive(self) -> Notices:
        url = self._queue()
        notices: list[Notice] = []
        receipts: list[str] = []
        for _ in range(BATCHES):
            with self._mapped():
                # SQS may have more than one server, and none of the first one's: what is left comes the next time.
                answer = self._client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
            messages = answer.get("Messages", [])
            for message in messages:
                notices += self._notices(message["Body"])
                receipts.append(message["ReceiptHandle"])
            if len(messages) < 10:
                break
        return Notices(tuple(notices), tuple(receipts))

    def done(self, receipts: Sequence[str]) -> None:
        for start in range(0, len(receipts), 10):
            entries = [{"Id": str(n), "ReceiptHandle": r} for n, r in enumerate(receipts[start : start + 10])]
            with self._mapped():
                # One that is not deleted comes again, and is known by then.
                self._client.delete_message_batch(QueueUrl=self._queue(), Entries=entries)

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def _notices(self, body: str) -> list[Notice]:
        found = written(body)
        if found is None:
            log.warning(
                "queue '%s': a message is no event of S3's, and is left out: %.200s", self._settings.queue, body
            )
            return []
        return [Notice(each.key.removeprefix(self._below), each.etag) for each in found if self._is_ours(each)]

    def _is_ours(self, found: Written) -> bool:
        return found.bucket == self._bucket and found.key.startswith(self._below) and not found.key.endswith("/")

    def _queue(self) -> str:
        if not self._url:
            with self._mapped():
                if self._settings.create:
                    self._url = self._made()
                else:
                    self._url = self._client.get_queue_url(QueueName=self._settings.queue)["QueueUrl"]
        return self._url

    def _made(self) -> str:
        """The queue, made where it is missing, with the bucket's word that it tells it."""
        url = str(self._client.create_queue(QueueName=self._settings.queue)["QueueUrl"])
        asked = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn", "Policy"])
        attributes = asked.get("Attributes", {})
        policy = _policy(attributes["QueueArn"], self._bucket)
        if not attributes.get("Policy"):
            self._client.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        self._tell_bucket(attributes["QueueArn"])
        return url

    def _tell_bucket(self, arn: str) -> None:
        """Have the bucket tell the queue, beside those whom it tells already."""
        own = {
            "Id": f"mlplatform-{self._settings.queue}",
            "QueueArn": arn,
            "Events": ["s3:ObjectCreated:*"],
            **_filter(self._below),
        }
        what = f"That bucket '{self._bucket}' tells queue '{self._settings.queue}' of its objects"
        with (
            closing(self._store.client("s3", self._options)) as s3,
            _refused_by_words(),
            aws_mapped(what, service="S3", kinds=_BUCKET_KINDS, steps=_BUCKET_STEPS),
        ):
            told = s3.get_bucket_notification_configuration(Bucket=self._bucket)
            told.pop("ResponseMetadata", None)
            others = told.get("QueueConfigurations", [])
            if all(each.get("QueueArn") != arn for each in others):
                told["QueueConfigurations"] = [*others, own]
                s3.put_bucket_notification_configuration(Bucket=self._bucket, NotificationConfiguration=told)

    def _mapped(self) -> Any:
        what = f"Queue '{self._settings.queue}' for the events of bucket '{self._bucket}'"
        return aws_mapped(what, service="SQS", kinds=_KINDS, steps=_STEPS)


@contextmanager
def _refused_by_words() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        for words, kind, step in _REFUSED:
            if error_code(error.__cause__) == "InvalidArgument" and words in error.message:
                raise kind(error.message, next_step=step) from error.__cause__
        raise


def _filter(below: str) -> dict[str, Any]:
    if not below:
        return {}
    return {"Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": below}]}}}


def _policy(queue_arn: str, bucket: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "s3.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:*:*:{bucket}"}},
            }
        ],
    }

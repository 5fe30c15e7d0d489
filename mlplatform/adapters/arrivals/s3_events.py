"""What S3 says of objects that were written, in each of the ways by which it reaches a queue.

- directly: ``Records`` of ``ObjectCreated:*``, keys URL-encoded (https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html)
- by EventBridge: an event ``Object Created``, keys as they are (https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html)
- by an SNS topic, either of them in an envelope, unless the subscription delivers it raw
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus


@dataclass(frozen=True)
class Written:
    """An object of `bucket` was written under `key`."""

    bucket: str
    key: str
    etag: str


def written(body: str) -> list[Written] | None:
    """The objects that a message tells of, none where it tells of something else that S3 says; None where it is no such message."""
    try:
        message = json.loads(body)
        if isinstance(message, dict) and message.get("Type") == "Notification" and "Message" in message:
            message = json.loads(message["Message"])
        if not isinstance(message, dict):
            return None
        if message.get("source") == "aws.s3":
            return _of_event(message)
        if message.get("Event") == "s3:TestEvent":
            return []
        if isinstance(message.get("Records"), list):
            return [found for record in message["Records"] for found in _of_record(record)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return None


def _of_event(event: Mapping[str, Any]) -> list[Written]:
    if event.get("detail-type") != "Object Created":
        return []
    detail = event["detail"]
    found = detail["object"]
    return [Written(detail["bucket"]["name"], found["key"], _etag(found.get("etag")))]


def _of_record(record: Mapping[str, Any]) -> list[Written]:
    if not str(record["eventName"]).removeprefix("s3:").startswith("ObjectCreated:"):
        return []
    found = record["s3"]["object"]
    return [Written(record["s3"]["bucket"]["name"], unquote_plus(found["key"]), _etag(found.get("eTag")))]


def _etag(value: object) -> str:
    return str(value or "").strip('"')

"""Amazon SNS: one topic, whose subscribers AWS tells (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html).

The subject is the title in the ASCII characters and the length that SNS takes; the message is title and body, cut with a
notice where they are longer than SNS takes. The attributes `kind`, `system` and `key` are there for subscriptions'
filters. On a FIFO topic a system's messages stay in order, and SNS too drops a second one with the same key.

A notification is told once as far as the item store remembers (`Sent`). Where SNS's answer is lost, a topic that is not
FIFO may tell it a second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from mlplatform.adapters.aws.client import AwsSettings
from mlplatform.adapters.aws.errors import aws_mapped
from mlplatform.adapters.notifications.sent import Sent, utc_now
from mlplatform.errors import NotFoundError, PermissionDeniedError, PlatformError, UnavailableError
from mlplatform.ports.item_store import ItemStore
from mlplatform.ports.notifications import Notification

MAX_SUBJECT_CHARACTERS = 100
MAX_MESSAGE_BYTES = 256 * 1024
MAX_ATTRIBUTE_CHARACTERS = 256
_KINDS: dict[str, type[PlatformError]] = {"NotFound": NotFoundError, "NotFoundException": NotFoundError}
_STEPS: dict[type[PlatformError], str] = {
    NotFoundError: "Make the topic, or change topic_arn in the connection's settings.",
    PermissionDeniedError: "Allow sns:Publish on the topic (and kms:GenerateDataKey on its key).",
}


class SnsSettings(AwsSettings):
    """A connection's settings, as a profile writes them."""

    topic_arn: str = Field(
        pattern=r"^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]+:[A-Za-z0-9_-]+(\.fifo)?$", description="The topic."
    )


class SnsNotifications:
    """Implements `ports.notifications.Notifications`; `client_options` are further arguments of ``boto3.client``."""

    def __init__(
        self,
        settings: SnsSettings,
        items: ItemStore,
        *,
        client_options: Mapping[str, Any] | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._topic = settings.topic_arn
        self._sent = Sent(items, now)
        self._client = settings.client("sns", client_options)

    def send(self, notification: Notification) -> bool:
        """See the port."""
        if not self._sent.claim(notification.key):
            return False
        try:
            with aws_mapped(f"Topic '{self._topic}'", service="SNS", kinds=_KINDS, steps=_STEPS):
                self._client.publish(TopicArn=self._topic, **_message(notification, self._topic))
        except PlatformError as error:
            self._sent.let_go(notification.key)
            raise UnavailableError(
                f"Notification '{notification.key}' was not taken: {error.message}", next_step=error.next_step
            ) from error
        self._sent.done(notification.key)
        return True

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()


def _message(notification: Notification, topic: str) -> dict[str, Any]:
    attributes = {
        name: {"DataType": "String", "StringValue": value[:MAX_ATTRIBUTE_CHARACTERS]}
        for name in ("kind", "system", "key")
        if (value := getattr(notification, name))
    }
    taken_bytes = sum(len(name) + len("String") + len(a["StringValue"].encode()) for name, a in attributes.items())
    text = notification.title + (f"\n\n{notification.body}" if notification.body else "")
    message: dict[str, Any] = {
        "Message": _cut(text, MAX_MESSAGE_BYTES - taken_bytes),
        "Subject": _subject(notification),
        "MessageAttributes": attributes,
    }
    if topic.endswith(".fifo"):
        message["MessageGroupId"] = hashlib.sha256(notification.system.encode()).hexdigest()
        message["MessageDeduplicationId"] = hashlib.sha256(notification.key.encode()).hexdigest()
    return message


def _subject(notification: Notification) -> str:
    """ASCII without line breaks, not empty, and starting with no space, as SNS wants it; of what is not ASCII, '?' is left."""
    text = " ".join(notification.title.encode("ascii", errors="replace").decode().split())
    text = "".join(c for c in text if c.isprintable()) or notification.kind
    return text if len(text) <= MAX_SUBJECT_CHARACTERS else f"{text[: MAX_SUBJECT_CHARACTERS - 3]}..."


def _cut(text: str, limit_bytes: int) -> str:
    whole = text.encode(errors="replace")
    if len(whole) <= limit_bytes:
        return whole.decode()
    notice = f"\n\n[cut: SNS takes {MAX_MESSAGE_BYTES} bytes, the message has {len(whole)}]"
    return whole[: limit_bytes - len(notice)].decode(errors="ignore") + notice

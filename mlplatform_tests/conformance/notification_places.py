"""Every notifications adapter with one target that people read, for the suite of the port."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.notifications.apprise import AppriseNotifications
from mlplatform.adapters.notifications.sns import SnsNotifications, SnsSettings
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.ports.item_store import ItemStore
from mlplatform.ports.notifications import Notifications
from mlplatform_tests.servers.ministack.server import Ministack

ADAPTERS = ("apprise", "sns")


@dataclass(frozen=True)
class NotificationPlace:
    """`open` gives another instance on the same state, as another process opens it; `told` is what has come to people.

    `take_away` makes the target take nothing, until `bring_back`.
    """

    open: Callable[..., Notifications]
    told: Callable[[], list[str]]
    take_away: Callable[[], object]
    bring_back: Callable[[], object]
    items: ItemStore


@pytest.fixture(params=ADAPTERS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NotificationPlace]:
    items = SqliteItemStore(tmp_path / "items.sqlite")
    if request.param == "apprise":
        yield _apprise(items, tmp_path)
    else:
        yield from _sns(items, request.getfixturevalue("ministack_server"))
    items.close()


def _apprise(items: SqliteItemStore, folder: Path) -> NotificationPlace:
    log = folder / "logs" / "notifications.jsonl"

    def told() -> list[str]:
        return [json.loads(line)["title"] for line in log.read_text().splitlines()] if log.is_file() else []

    return NotificationPlace(
        lambda **settings: AppriseNotifications(items, EnvironmentSecrets({}), log=log, console=False, **settings),
        told,
        lambda: log.parent.write_text("a file where a folder should be"),
        lambda: log.parent.unlink(),
        items,
    )


def _sns(items: SqliteItemStore, server: Ministack) -> Iterator[NotificationPlace]:
    topic = Topic(server)
    opened: list[SnsNotifications] = []

    def open_(**settings: Any) -> Notifications:
        found = SnsSettings(topic_arn=topic.arn)
        opened.append(SnsNotifications(found, items, client_options=server.client_options, **settings))
        return opened[-1]

    titles: list[str] = []

    def told() -> list[str]:
        titles.extend(message["Subject"] for message in topic.told())
        return titles

    yield NotificationPlace(open_, told, topic.take_away, topic.bring_back, items)
    for notifications in opened:
        notifications.close()
    topic.close()


class Topic:
    """A topic of SNS with a queue of SQS that is subscribed to it; `filter_policy` says which messages the queue gets."""

    def __init__(self, server: Ministack, *, suffix: str = "", filter_policy: dict[str, Any] | None = None) -> None:
        self._name = f"topic-{uuid.uuid4().hex}{suffix}"
        self._fifo = {"FifoTopic": "true"} if suffix else {}
        self._sns: Any = boto3.client("sns", **server.client_options)
        self._sqs: Any = boto3.client("sqs", **server.client_options)
        own = {"FifoQueue": "true"} if suffix else {}
        self._queue = self._sqs.create_queue(QueueName=f"queue-{uuid.uuid4().hex}{suffix}", Attributes=own)["QueueUrl"]
        self._filter = {"FilterPolicy": json.dumps(filter_policy)} if filter_policy else {}
        self.bring_back()

    def bring_back(self) -> None:
        """Make the topic, with the queue subscribed."""
        self.arn: str = self._sns.create_topic(Name=self._name, Attributes=self._fifo)["TopicArn"]
        of_queue = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]
        self._sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=of_queue["QueueArn"], Attributes=self._filter)

    def take_away(self) -> None:
        """Delete the topic."""
        self._sns.delete_topic(TopicArn=self.arn)

    def told(self) -> list[dict[str, Any]]:
        """What came to the queue since it was asked last."""
        found = []
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def close(self) -> None:
        """Close the clients' connections."""
        self._sns.close()
        self._sqs.close()

"""What is SNS's alone in its notifications: subjects, sizes, attributes for filters, FIFO topics, servers that fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.notifications.sns import MAX_MESSAGE_BYTES, SnsNotifications, SnsSettings
from mlplatform.errors import UnavailableError
from mlplatform.ports.notifications import Notification
from mlplatform_tests.conformance.notification_places import Topic
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.ministack.faults import Faults, faults_before
from mlplatform_tests.servers.ministack.server import Ministack

__all__ = ["ministack_server"]

DRIFT = Notification("prices/drift/1", "drift", "prices", "Drift of change", "change moved")


@pytest.fixture
def faults(ministack_server: Ministack) -> Iterator[Faults]:
    with faults_before(ministack_server.port) as found:
        yield found


@pytest.fixture
def topic(ministack_server: Ministack) -> Iterator[Topic]:
    found = Topic(ministack_server)
    yield found
    found.close()


def sns(topic: str, faults: Faults, folder: Path) -> SnsNotifications:
    items = SqliteItemStore(folder / "items.sqlite")
    return SnsNotifications(SnsSettings(topic_arn=topic), items, client_options=faults.client_options)


def test_message_says_all_and_has_attributes_for_filters(topic: Topic, faults: Faults, tmp_path: Path) -> None:
    sns(topic.arn, faults, tmp_path).send(DRIFT)
    [told] = topic.told()
    assert (told["Subject"], told["Message"]) == ("Drift of change", "Drift of change\n\nchange moved")
    assert {name: a["Value"] for name, a in told["MessageAttributes"].items()} == {
        "kind": "drift",
        "system": "prices",
        "key": "prices/drift/1",
    }


def test_subscription_that_filters_by_kind(ministack_server: Ministack, faults: Faults, tmp_path: Path) -> None:
    topic = Topic(ministack_server, filter_policy={"kind": ["failure"]})
    found = sns(topic.arn, faults, tmp_path)
    found.send(DRIFT)
    found.send(Notification("2", "failure", "prices", "Failure", ""))
    assert [told["Subject"] for told in topic.told()] == ["Failure"]
    topic.close()


@pytest.mark.parametrize(
    ("title", "subject"),
    [
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 97 + "..."),
        (" Größe\nüber\tdem Üblichen ", "Gr??e ?ber dem ?blichen"),
        ("", "info"),
        ("\x00\n", "info"),
    ],
)
def test_subjects_are_such_as_sns_takes(topic: Topic, faults: Faults, tmp_path: Path, title: str, subject: str) -> None:
    sns(topic.arn, faults, tmp_path).send(Notification("1", "info", "prices", title, "body"))
    assert [told["Subject"] for told in topic.told()] == [subject]


def test_message_that_is_too_long_is_cut_with_a_notice(topic: Topic, faults: Faults, tmp_path: Path) -> None:
    body = "ü" * MAX_MESSAGE_BYTES
    assert sns(topic.arn, faults, tmp_path).send(Notification("1", "info", "prices", "Long", body)) is True
    [told] = topic.told()
    assert told["Message"].startswith("Long\n\nüüü")
    assert told["Message"].endswith(
        f"ü\n\n[cut: SNS takes {MAX_MESSAGE_BYTES} bytes, the message has {len(body) * 2 + 6}]"
    )
    assert MAX_MESSAGE_BYTES - 100 < len(told["Message"].encode()) < MAX_MESSAGE_BYTES


def test_fifo_topic_keeps_order_and_drops_a_second_one(
    ministack_server: Ministack, faults: Faults, tmp_path: Path
) -> None:
    topic = Topic(ministack_server, suffix=".fifo")
    found = sns(topic.arn, faults, tmp_path)
    for number in range(3):
        found.send(Notification(f"{number}", "info", "a system", f"No {number}", ""))
    # Another item store knows of nothing.
    sns(topic.arn, faults, tmp_path / "another").send(Notification("1", "info", "a system", "No 1", ""))
    assert [told["Subject"] for told in topic.told()] == ["No 0", "No 1", "No 2"]
    topic.close()


@pytest.mark.parametrize(
    ("code", "status", "step"),
    [
        ("AuthorizationError", 403, "Allow sns:Publish on the topic"),
        ("ExpiredToken", 403, "Renew the credentials"),
        ("Throttled", 429, "Try again later"),
        ("InternalError", 500, "Try again later"),
    ],
)
def test_topic_that_takes_nothing_is_told_with_the_next_step(
    topic: Topic, faults: Faults, tmp_path: Path, code: str, status: int, step: str
) -> None:
    items = SqliteItemStore(tmp_path / "items.sqlite")
    found = SnsNotifications(SnsSettings(topic_arn=topic.arn), items, client_options=faults.impatient_options)
    faults.refuse("Publish", code, status=status, times=2)
    expected = rf"'prices/drift/1' was not taken: Topic '{topic.arn}': SNS answered {code} to Publish"
    # Throttled and failed calls are tried twice, a refusal once.
    while faults.calls.count("Publish") < 2:
        with pytest.raises(UnavailableError, match=expected) as error:
            found.send(DRIFT)
        assert step in str(error.value)
    assert found.send(DRIFT) is True
    assert len(topic.told()) == 1


@pytest.mark.parametrize("arn", ["alerts", "arn:aws:sqs:us-east-1:000000000000:alerts", "arn:aws:sns:us-east-1:0:a b"])
def test_what_is_no_topic_is_refused(arn: str) -> None:
    with pytest.raises(ValidationError, match="topic_arn"):
        SnsSettings(topic_arn=arn)

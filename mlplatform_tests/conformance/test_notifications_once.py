"""The contract of the notifications port, over every adapter: each event is told once, and none is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from mlplatform.adapters.notifications.sent import SENT
from mlplatform.errors import UnavailableError
from mlplatform.ports.notifications import Notification
from mlplatform_tests.conformance.notification_places import NotificationPlace, place

__all__ = ["place"]

FIRST = Notification("prices/drift/1", "drift", "prices", "Drift", "change moved")
SECOND = Notification("prices/drift/2", "failure", "prices", "Failure", "")


def test_a_notification_is_told(place: NotificationPlace) -> None:
    assert place.open().send(FIRST) is True
    assert place.open().send(SECOND) is True
    assert sorted(place.told()) == ["Drift", "Failure"]


def test_the_same_key_is_told_once_whoever_sends_it(place: NotificationPlace) -> None:
    assert [place.open().send(FIRST) for _ in range(3)] == [True, False, False]
    assert place.told() == ["Drift"]


def test_of_many_that_send_one_key_at_once_one_sends(place: NotificationPlace) -> None:
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda _: place.open().send(FIRST), range(8)))
    assert sum(sent) == 1
    assert place.told() == ["Drift"]


def test_what_nobody_took_is_told_when_it_is_sent_again(place: NotificationPlace) -> None:
    place.take_away()
    with pytest.raises(UnavailableError, match="'prices/drift/1'"):
        place.open().send(FIRST)
    place.bring_back()
    assert place.open().send(FIRST) is True
    assert place.told() == ["Drift"]


def test_a_claim_of_a_process_that_died_is_taken_over_after_a_while(place: NotificationPlace) -> None:
    died = datetime.now(UTC)
    place.items.put(SENT, FIRST.key, {"state": "sending", "at": died.isoformat()})
    assert place.open(now=lambda: died + timedelta(seconds=59)).send(FIRST) is False
    assert place.open(now=lambda: died + timedelta(seconds=61)).send(FIRST) is True
    assert place.told() == ["Drift"]

"""Settings of CloudWatch's metrics under which an alarm would ring without cause are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mlplatform.adapters.metrics.cloudwatch import CloudWatchSettings

TOPIC = "arn:aws:sns:us-east-1:000000000000:people"


def test_a_sign_must_come_twice_in_the_time_after_which_people_are_told() -> None:
    with pytest.raises(
        ValidationError, match=r"every_s: expected at most half of silent_s \(60\), found 61: a worker that lives"
    ):
        CloudWatchSettings(alarm_topic_arn=TOPIC, silent_s=120, every_s=61)
    assert CloudWatchSettings(alarm_topic_arn=TOPIC, silent_s=120, every_s=60).every_s == 60


def test_without_alarms_metrics_are_put_as_seldom_as_one_likes() -> None:
    assert CloudWatchSettings(silent_s=60, every_s=3600).every_s == 3600

"""What the worker counts reaches CloudWatch, once a while, and nothing is lost while it cannot be told."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.config import Config

from mlplatform.adapters.metrics.cloudwatch import CloudWatchMetrics, CloudWatchSettings
from mlplatform.errors import UnavailableError
from mlplatform.ports.metrics import Measure
from mlplatform.worker.meter import BEAT, TROUBLES, Meter
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.ports import free_port

__all__ = ["ministack_server"]

WAIT_S = 60.0
TABLE = ("shop", "sold")
TOPIC = "arn:aws:sns:us-east-1:000000000000:people"


class Place:
    """A namespace of its own, and what is in it."""

    def __init__(self, server: Ministack) -> None:
        self.namespace = f"test-{uuid.uuid4().hex}"
        self.options = server.client_options
        self.client: Any = boto3.client("cloudwatch", **self.options)

    def metrics(self, **settings: Any) -> CloudWatchMetrics:
        return CloudWatchMetrics(CloudWatchSettings(namespace=self.namespace, **settings), client_options=self.options)

    def total(self, name: str, **dimensions: str) -> float:
        now = datetime.now(UTC)
        answer = self.client.get_metric_statistics(
            Namespace=self.namespace,
            MetricName=name,
            Dimensions=[{"Name": n, "Value": v} for n, v in dimensions.items()],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=60,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in answer["Datapoints"]))


@pytest.fixture
def place(ministack_server: Ministack) -> Iterator[Place]:
    found = Place(ministack_server)
    yield found
    found.client.close()


def test_counts_are_added_up_and_told_when_it_is_time(place: Place) -> None:
    now = [0.0]
    with closing(place.metrics(every_s=60)) as metrics:
        meter = Meter(metrics, clock=lambda: now[0])
        meter.beat(0)
        meter.wait(WAIT_S)
        meter.note(TABLE, {"loaded": 5, "quarantined": 1, "waiting_in_quarantine": 1, "batch_ids": ["x"]})
        meter.note(TABLE, {"loaded": 7, "quarantined": 0, "waiting_in_quarantine": 0})
        meter.beat(0)
        assert place.total("loaded", system="shop", asset="sold") == 0
        now[0] = 60
        meter.beat(2)
        meter.wait(WAIT_S)
    assert place.total("loaded", system="shop", asset="sold") == 12
    assert place.total("quarantined", system="shop", asset="sold") == 1
    assert place.total("waiting_in_quarantine", system="shop", asset="sold") == 0
    assert (place.total(BEAT), place.total(TROUBLES)) == (3, 2)


def test_what_cannot_be_told_is_kept(place: Place) -> None:
    with closing(place.metrics(every_s=1)) as metrics:
        away = CloudWatchSettings(namespace=place.namespace, endpoint_url=f"http://127.0.0.1:{free_port()}")
        options = {k: v for k, v in place.options.items() if k != "endpoint_url"}
        with closing(CloudWatchMetrics(away, client_options=options)) as gone:
            now = [0.0]
            meter = Meter(gone, clock=lambda: now[0])
            meter.note(TABLE, {"loaded": 5})
            meter.beat(0)
            meter.wait(WAIT_S)
            with pytest.raises(UnavailableError, match=f"Metrics in namespace '{place.namespace}'"):
                gone.put([Measure("a", 1, "count")], datetime.now(UTC))
            now[0] = 100
            meter.metrics = metrics
            meter.beat(0)
            meter.wait(WAIT_S)
    assert place.total("loaded", system="shop", asset="sold") == 5
    assert place.total(BEAT) == 2


def test_nobody_waits_for_an_answer_and_nothing_is_lost_meanwhile(place: Place) -> None:
    answer, asked = threading.Event(), []

    class Silent(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            answer.wait(WAIT_S)
            self.close_connection = True

    once = Config(retries={"total_max_attempts": 1}, read_timeout=WAIT_S)
    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server, closing(place.metrics(every_s=60)) as metrics:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        settings = CloudWatchSettings(namespace=place.namespace, every_s=60)
        options = {**place.options, "endpoint_url": url, "config": once}
        with closing(CloudWatchMetrics(settings, client_options=options)) as slow:
            now = [0.0]
            meter = Meter(slow, clock=lambda: now[0])
            meter.note(TABLE, {"loaded": 5})
            meter.beat(0)
            meter.note(TABLE, {"loaded": 7})
            now[0] = 60
            meter.beat(0)
            answer.set()
            meter.wait(WAIT_S)
            assert len(asked) == 1
        meter.metrics = metrics
        now[0] = 120
        meter.beat(0)
        meter.wait(WAIT_S)
        server.shutdown()
    assert place.total("loaded", system="shop", asset="sold") == 12
    assert place.total(BEAT) == 3


def test_alarms_are_made_once_and_as_they_should_be(place: Place) -> None:
    for _ in range(2):
        with closing(place.metrics(alarm_topic_arn=TOPIC, silent_s=120)) as metrics:
            meter = Meter(metrics)
            meter.beat(0)
            meter.wait(WAIT_S)
    alarms = place.client.describe_alarms(AlarmNamePrefix=place.namespace)["MetricAlarms"]
    assert {(a["MetricName"], a["TreatMissingData"], a["EvaluationPeriods"], *a["AlarmActions"]) for a in alarms} == {
        (BEAT, "breaching", 2, TOPIC),
        (TROUBLES, "notBreaching", 2, TOPIC),
    }
    assert len(alarms) == 2


def test_without_a_connection_nothing_is_told() -> None:
    meter = Meter(None)
    meter.note(TABLE, {"loaded": 1})
    meter.beat(0)

"""The transformation as Firehose has it: a function whose archive holds no more than it needs."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from mlplatform.entrypoints.firehose_transform import VARIABLE
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.ministack.functions import Function, archived, function
from mlplatform_tests.servers.ministack.server import Ministack

__all__ = ["ministack_server"]

HANDLER = "mlplatform.entrypoints.firehose_transform.handler"
OWN = """
import json


def clean(data):
    record = json.loads(data)
    return None if record.get("kind") == "heartbeat" else json.dumps({**record, "doubled": record["n"] * 2}).encode()
"""


@pytest.fixture(scope="module")
def transforming(ministack_server: Ministack) -> Iterator[Function]:
    archive = archived({"records.py": OWN}, "mlplatform", "msgspec")
    with function(ministack_server, HANDLER, archive, {VARIABLE: "records:clean"}) as found:
        yield found


def test_it_answers_the_event_that_firehose_sends(transforming: Function) -> None:
    # https://docs.aws.amazon.com/lambda/latest/dg/services-kinesisfirehose.html
    sent = {"one": b'{"n": 1}', "two": b'{"kind": "heartbeat"}', "three": b"none", "four": b'{"n":\n2}\n'}
    records = [
        {"recordId": name, "approximateArrivalTimestamp": 1772384640000, "data": base64.b64encode(data).decode()}
        for name, data in sent.items()
    ]
    stream = "arn:aws:firehose:us-east-1:123456789012:deliverystream/ticks"
    event = {"invocationId": "1", "deliveryStreamArn": stream, "region": "us-east-1", "records": records}
    answer = transforming.invoke(event)
    assert [(r["recordId"], r["result"], base64.b64decode(r["data"])) for r in answer["records"]] == [
        ("one", "Ok", b'{"n": 1, "doubled": 2}\n'),
        ("two", "Dropped", b'{"kind": "heartbeat"}'),
        ("three", "ProcessingFailed", b"none"),
        ("four", "Ok", b'{"n": 2, "doubled": 4}\n'),
    ]


def test_one_that_is_not_in_the_archive_fails_with_its_name(ministack_server: Ministack) -> None:
    archive = archived({}, "mlplatform", "msgspec")
    with (
        function(ministack_server, HANDLER, archive, {VARIABLE: "records:clean"}) as found,
        pytest.raises(AssertionError, match="MLPLATFORM_TRANSFORM: transform 'records:clean' cannot be imported"),
    ):
        found.invoke({"records": []})

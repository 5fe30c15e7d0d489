"""A delivery stream that is there: taken where it delivers what is loaded, named with what is wrong where it does not."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from mlplatform.adapters.object_store.s3 import S3Settings
from mlplatform.adapters.stream.firehose import FirehoseSettings, delivery_stream
from mlplatform.adapters.stream.firehose_check import check, delivers_since
from mlplatform.errors import ConflictError, StateError

SOURCE = "arn:aws:kinesis:us-east-1:000000000000:stream/shop-ticks"
SINCE = datetime(2026, 3, 1, 17, tzinfo=UTC)
EXPECTED = delivery_stream(
    "shop-ticks",
    SOURCE,
    "shop/in/",
    FirehoseSettings(by="firehose", create=True, role_arn="arn:aws:iam::000000000000:role/firehose"),
    S3Settings(bucket="objects", prefix="below"),
)


def described(status: str = "ACTIVE", source: str = SOURCE, **destination: Any) -> dict[str, Any]:
    """What Firehose says of one that was made as it is expected, but for what is given."""
    made = {**EXPECTED["ExtendedS3DestinationConfiguration"], **destination}
    return {
        "DeliveryStreamName": "shop-ticks",
        "DeliveryStreamStatus": status,
        "Source": {"KinesisStreamSourceDescription": {"KinesisStreamARN": source, "DeliveryStartTimestamp": SINCE}},
        "Destinations": [{"ExtendedS3DestinationDescription": {k: v for k, v in made.items() if v is not None}}],
    }


@pytest.mark.parametrize(
    "about",
    [
        described(),
        described("CREATING"),
        described(FileExtension=".jsonl"),
        described(Prefix="below/shop/in/firehose/"),
        described(Prefix="below/shop/in/firehose/day=!{timestamp:yyyy-MM-dd}/"),
    ],
)
def test_one_that_delivers_what_is_loaded_is_taken(about: dict[str, Any]) -> None:
    check(about, EXPECTED)


@pytest.mark.parametrize(
    ("about", "wrong"),
    [
        (described(source=SOURCE + "2"), f"reads '{SOURCE}2', expected '{SOURCE}'"),
        ({**described(), "Source": {}}, f"reads nothing, expected '{SOURCE}'"),
        (described(BucketARN="arn:aws:s3:::other"), "writes to 'arn:aws:s3:::other', expected 'arn:aws:s3:::objects'"),
        (
            described(Prefix="shop/in/firehose/"),
            "prefix is 'shop/in/firehose/', expected one that begins with 'below/shop/in/firehose/'",
        ),
        (described(FileExtension=".json"), "file extension is '.json', expected '.jsonl' or '.jsonl.gz'"),
        ({**described(), "Destinations": [{"HttpEndpointDestinationDescription": {}}]}, "writes to no bucket of S3"),
    ],
)
def test_one_that_delivers_what_nobody_loads_is_refused_with_what_was_expected(
    about: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(ConflictError) as refused:
        check(about, EXPECTED)
    assert refused.value.message == f"Delivery stream 'shop-ticks': {wrong}."


@pytest.mark.parametrize("status", ["CREATING_FAILED", "DELETING", "DELETING_FAILED"])
def test_one_that_is_not_alive_is_refused_with_what_failed(status: str) -> None:
    failure = {"Type": "KMS_ACCESS_DENIED", "Details": "the key is not there"}
    with pytest.raises(StateError, match=rf"is {status} \(KMS_ACCESS_DENIED: the key is not there\); expected ACTIVE"):
        check({**described(status), "FailureDescription": failure}, EXPECTED)
    with pytest.raises(StateError, match=rf"is {status}; expected ACTIVE"):
        check(described(status), EXPECTED)


def test_one_without_a_file_extension_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check(described(FileExtension=None), EXPECTED)
    assert "names no file extension, expected '.jsonl' or '.jsonl.gz'" in caplog.text


def test_it_delivers_from_its_start_on_once_it_is_active() -> None:
    about = described()
    source = about["Source"]["KinesisStreamSourceDescription"]
    source["DeliveryStartTimestamp"] = SINCE.astimezone(timezone(timedelta(hours=2)))
    found = delivers_since(about)
    assert found is not None
    assert (found, found.tzinfo) == (SINCE, UTC)
    assert delivers_since(described("CREATING")) is None
    assert delivers_since({**described(), "Source": {}}) is None

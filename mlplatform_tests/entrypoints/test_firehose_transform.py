"""The handler that Firehose calls: each record is answered in its order, with what is to be delivered, dropped or kept apart."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from mlplatform.entrypoints.firehose_transform import VARIABLE, handler
from mlplatform.errors import SpecError


def priced(data: bytes) -> bytes | None:
    """A system's own transformation: prices in cents, none without one."""
    record = json.loads(data)
    if "price" not in record:
        return None
    return json.dumps({**record, "cents": round(record["price"] * 100)}).encode()


def event(*records: bytes) -> dict[str, Any]:
    told = [
        {"recordId": f"{number:04d}", "data": base64.b64encode(data).decode()} for number, data in enumerate(records)
    ]
    return {"invocationId": "1", "deliveryStreamArn": "arn", "region": "us-east-1", "records": told}


def answered(given: dict[str, Any]) -> list[tuple[str, str, bytes]]:
    return [(r["recordId"], r["result"], base64.b64decode(r["data"])) for r in handler(given)["records"]]


def test_records_are_transformed_dropped_or_told_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"{__name__}:priced")
    assert answered(event(b'{"price": 1.5}', b"{}", b"no json")) == [
        ("0000", "Ok", b'{"price": 1.5, "cents": 150}\n'),
        ("0001", "Dropped", b"{}"),
        ("0002", "ProcessingFailed", b"no json"),
    ]


def test_a_record_of_several_lines_is_delivered_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert answered(event(b'{"a":\n1}\n')) == [("0000", "Ok", b'{"a": 1}\n')]


def test_what_is_no_json_object_is_kept_apart_also_without_a_transformation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert answered(event(b"[1]", b'{"_sequence": 1}')) == [
        ("0000", "ProcessingFailed", b"[1]"),
        ("0001", "ProcessingFailed", b'{"_sequence": 1}'),
    ]


def test_a_transformation_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "nowhere:f")
    with pytest.raises(SpecError, match="MLPLATFORM_TRANSFORM: transform 'nowhere:f' cannot be imported"):
        handler(event(b"{}"))

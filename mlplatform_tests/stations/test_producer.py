"""A producer puts each record under its partition key, and refuses alone what has none."""

from __future__ import annotations

import json
from pathlib import Path

from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.spec.stream import DeliverySpec, StreamSpec
from mlplatform.stations.producer import Producer

SPEC = StreamSpec(name="prices", partition_key="ticker", shards=2, delivery=DeliverySpec(prefix="prices/"))


def test_records_that_fit_are_stored_and_the_others_refused_in_place(tmp_path: Path) -> None:
    stream = SqliteStream(tmp_path, SPEC)
    producer = Producer(stream, SPEC, system="s")
    records = [b'{"ticker": "A", "n": 1}', b'{"n": 2}', b"[1]", b"{", b'{"ticker": 7}']
    results = producer.put(records)
    assert [r.error_code for r in results] == ["", "InvalidRecord", "InvalidRecord", "InvalidRecord", ""]
    assert "has no value for the partition key 'ticker'; it has: n" in results[1].error_message
    assert "expected a JSON object, found a list" in results[2].error_message
    stored = [json.loads(r.data) for s in stream.shards() for r in stream.read(s.shard)]
    assert sorted(str(r["ticker"]) for r in stored) == ["7", "A"]
    stream.close()


def test_a_record_nested_too_deeply_is_refused_alone(tmp_path: Path) -> None:
    stream = SqliteStream(tmp_path, SPEC)
    deep = b'{"ticker": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    refused, stored = Producer(stream, SPEC, system="s").put([deep, b'{"ticker": "A"}'])
    assert (refused.error_code, stored.error_code) == ("InvalidRecord", "")
    assert "is not readable as JSON" in refused.error_message
    assert refused.error_message.endswith(". Send each record as one JSON object on one line.")
    stream.close()


def test_where_columns_are_personal_a_refusal_does_not_name_the_fields_of_the_record(tmp_path: Path) -> None:
    stream = SqliteStream(tmp_path, SPEC)
    (refused,) = Producer(stream, SPEC, system="s", masked=True).put([b'{"Smith": 1, "n": 2}'])
    assert refused.error_message == (
        "A record for stream 's/prices' has no value for the partition key 'ticker'. Give it one."
    )
    stream.close()


def test_one_key_stays_on_one_shard_in_order(tmp_path: Path) -> None:
    stream = SqliteStream(tmp_path, SPEC)
    producer = Producer(stream, SPEC, system="s")
    results = producer.put([json.dumps({"ticker": "A", "n": n}).encode() for n in range(50)])
    assert len({r.shard for r in results}) == 1
    assert [json.loads(r.data)["n"] for r in stream.read(results[0].shard)] == list(range(50))
    stream.close()

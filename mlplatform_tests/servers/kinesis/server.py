"""A stand-in for Kinesis on a port of this process: the calls that producers and consumers make, as AWS answers them.

(https://docs.aws.amazon.com/kinesis/latest/APIReference/.) What it does by itself besides: it refuses records (`refuse`),
lets all iterators expire (`expire`), refuses reads faster than `reads_per_s`, and gives empty answers before full ones
(`empty_answers`), as Kinesis does where a shard has gaps.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mlplatform_tests.servers.kinesis.shards import Held, Shard, Shards

MAX_READ_BYTES = 10 * 1024 * 1024
THROTTLED = "ProvisionedThroughputExceededException"


class Refused(Exception):  # noqa: N818
    """An error as Kinesis answers it: code and message."""


class Kinesis(ThreadingHTTPServer):
    """Streams by name, by `clock`."""

    daemon_threads = True

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.clock = clock
        self.streams: dict[str, Shards] = {}
        self.calls: list[str] = []
        self.refuse: list[str] = []
        """Error codes for the next records put, one each; "" lets one through."""
        self.reads_per_s = 0.0
        self.empty_answers = 0
        self._iterators: dict[str, tuple[str, str, str]] = {}
        self._read_at: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of ``boto3.client``."""
        return {
            "endpoint_url": f"http://127.0.0.1:{self.server_port}",
            "region_name": "us-east-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }

    def expire(self) -> None:
        """Let all iterators expire."""
        with self._lock:
            self._iterators.clear()

    def asked(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a call."""
        with self._lock:
            self.calls.append(operation)
            if operation == "CreateStream":
                return self._create(request)
            if operation == "GetRecords":
                return self._records(request)
            stream = self.streams.get(request.get("StreamName", ""))
            if stream is None and operation == "ListShards":
                name, _, after = request["NextToken"].partition("/")
                return _list(self.streams[name], name, after)
            if stream is None:
                raise Refused("ResourceNotFoundException", f"Stream {request.get('StreamName')} not found.")
            stream.trim()
            calls: dict[str, Callable[[Shards, dict[str, Any]], dict[str, Any]]] = {
                "DescribeStream": _described,
                "DescribeStreamSummary": _described,
                "IncreaseStreamRetentionPeriod": _keep_longer,
                "ListShards": lambda s, r: _list(s, r["StreamName"], ""),
                "PutRecords": self._put,
                "GetShardIterator": self._iterator,
            }
            return calls[operation](stream, request)

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["StreamName"] in self.streams:
            raise Refused("ResourceInUseException", "Stream exists.")
        self.streams[request["StreamName"]] = Shards(request["ShardCount"], self.clock, timedelta(hours=24))
        return {}

    def _put(self, stream: Shards, request: dict[str, Any]) -> dict[str, Any]:
        records = request["Records"]
        if len(records) > 500:
            raise Refused("InvalidArgumentException", "more than 500 records")
        answers: list[dict[str, Any]] = []
        for record in records:
            code = self.refuse.pop(0) if self.refuse else ""
            if code:
                answers.append({"ErrorCode": code, "ErrorMessage": "as the test says"})
            else:
                shard, sequence = stream.put(record["PartitionKey"], record.get("Data", ""))
                answers.append({"ShardId": shard, "SequenceNumber": sequence})
        return {"FailedRecordCount": sum("ErrorCode" in answer for answer in answers), "Records": answers}

    def _iterator(self, stream: Shards, request: dict[str, Any]) -> dict[str, Any]:
        shard = stream.shards.get(request["ShardId"])
        if shard is None:
            raise Refused("ResourceNotFoundException", f"Shard {request['ShardId']} not found.")
        return {"ShardIterator": self._made(request["StreamName"], shard, _behind(shard, request))}

    def _records(self, request: dict[str, Any]) -> dict[str, Any]:
        found = self._iterators.get(request["ShardIterator"])
        if found is None:
            raise Refused("ExpiredIteratorException", "Iterator expired.")
        name, shard_name, behind = found
        stream = self.streams[name]
        stream.trim()
        shard = stream.shards.get(shard_name)
        if shard is None:
            raise Refused("ResourceNotFoundException", f"Shard {shard_name} not found.")
        now = time.monotonic()
        if self.reads_per_s and now - self._read_at.get(shard_name, -math.inf) < 1 / self.reads_per_s:
            raise Refused(THROTTLED, "Rate exceeded for shard.")
        self._read_at[shard_name] = now
        waiting = [held for held in shard.records if held.sequence > behind]
        page = [] if self.empty_answers else _page(waiting, request.get("Limit", 10_000))
        self.empty_answers = max(0, self.empty_answers - 1)
        left = len(waiting) - len(page)
        answer: dict[str, Any] = {"Records": [_told(held) for held in page], "MillisBehindLatest": 1000 if left else 0}
        if left or not shard.ending:
            answer["NextShardIterator"] = self._made(name, shard, page[-1].sequence if page else behind)
        else:
            answer["ChildShards"] = [_child(stream.shards[child]) for child in shard.children if child in stream.shards]
        return answer

    def _made(self, stream: str, shard: Shard, behind: str) -> str:
        token = uuid.uuid4().hex
        self._iterators[token] = (stream, shard.name, behind)
        return token


class _Handler(BaseHTTPRequestHandler):
    server: Kinesis
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            status, answer = 200, self.server.asked(self.headers["X-Amz-Target"].rpartition(".")[2], request)
        except Refused as error:
            status, answer = 400, {"__type": error.args[0], "message": error.args[1]}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextlib.contextmanager
def kinesis(clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[Kinesis]:
    """A server of its own, without streams."""
    server = Kinesis(clock)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _behind(shard: Shard, request: dict[str, Any]) -> str:
    """The sequence behind which an iterator begins."""
    kind, sequence = request["ShardIteratorType"], request.get("StartingSequenceNumber", "")
    if kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        if not int(shard.starting) <= int(sequence) <= int(shard.ending or 10**57):
            raise Refused(
                "InvalidArgumentException", f"StartingSequenceNumber {sequence} did not come from this shard."
            )
        return str(int(sequence) - 1) if kind == "AT_SEQUENCE_NUMBER" else str(sequence)
    if kind == "AT_TIMESTAMP":
        since = datetime.fromtimestamp(request["Timestamp"], UTC)
        return max((held.sequence for held in shard.records if held.arrived_at < since), default="")
    assert kind == "TRIM_HORIZON"
    return ""


def _page(waiting: list[Held], limit: int) -> list[Held]:
    page, size_bytes = [], 0
    for held in waiting[:limit]:
        size_bytes += len(held.data) * 3 // 4
        if page and size_bytes > MAX_READ_BYTES:
            break
        page.append(held)
    return page


def _told(held: Held) -> dict[str, Any]:
    return {
        "SequenceNumber": held.sequence,
        "ApproximateArrivalTimestamp": held.arrived_at.timestamp(),
        "Data": held.data,
        "PartitionKey": held.key,
    }


def _list(stream: Shards, name: str, after: str) -> dict[str, Any]:
    """Three shards an answer: a caller has to ask on."""
    names = [shard for shard in sorted(stream.shards) if shard > after]
    answer: dict[str, Any] = {"Shards": [_child(stream.shards[shard], listed=True) for shard in names[:3]]}
    if len(names) > 3:
        answer["NextToken"] = f"{name}/{names[2]}"
    return answer


def _child(shard: Shard, *, listed: bool = False) -> dict[str, Any]:
    told: dict[str, Any] = {
        "ShardId": shard.name,
        "HashKeyRange": {"StartingHashKey": str(shard.low), "EndingHashKey": str(shard.high)},
    }
    if not listed:
        return {**told, "ParentShards": list(shard.parents)}
    ending = {"EndingSequenceNumber": shard.ending} if shard.ending else {}
    parents = dict(zip(("ParentShardId", "AdjacentParentShardId"), shard.parents, strict=False))
    return {**told, **parents, "SequenceNumberRange": {"StartingSequenceNumber": shard.starting, **ending}}


def _described(stream: Shards, request: dict[str, Any]) -> dict[str, Any]:
    described = {
        "StreamName": request["StreamName"],
        "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/" + request["StreamName"],
        "StreamStatus": "ACTIVE",
        "RetentionPeriodHours": int(stream.retention / timedelta(hours=1)),
        "EnhancedMonitoring": [],
    }
    whole = {**described, "Shards": [], "HasMoreShards": False}
    return {"StreamDescriptionSummary": {**described, "OpenShardCount": len(stream.open)}, "StreamDescription": whole}


def _keep_longer(stream: Shards, request: dict[str, Any]) -> dict[str, Any]:
    stream.retention = timedelta(hours=request["RetentionPeriodHours"])
    return {}

"""Put on Kinesis to visible in Redshift: Firehose writes objects, S3 tells the queue of them, the worker has them copied."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks.aws.environ import KEYS, environ
from benchmarks.freshness.bench import DEFS, TABLE, Seen, latencies, percentile
from benchmarks.freshness.producer import KEYS as PARTS
from benchmarks.freshness.producer import STREAM, SYSTEM
from benchmarks.options import Options
from benchmarks.processes import server, tail
from benchmarks.project import ROOT, environment, write_system
from benchmarks.rows import Row, Series, row
from mlplatform.platform import Platform, open_platform
from mlplatform_tests.servers.ministack.server import Ministack, ministack

RATE = 4
"""Records a second. ministack's Firehose makes an object of each: as many objects a second as hundreds of delivery streams make on
AWS, whose buffers are a minute or five MiB."""
POLL_S = 0.1
BUCKET = "fresh"
ROLE = "arn:aws:iam::000000000000:role/firehose"


def fresh(options: Options) -> list[Row]:
    """Rows ``aws.fresh.*``."""
    seconds = options.size(90, 10)
    with _installation(options) as (env, scratch), closing(_opened(env)) as platform:
        worker = [sys.executable, "-m", "mlplatform.worker.main"]
        with server(worker, ready=platform.worker_alive, log=scratch / "worker.log", env=env):
            _warm(platform)
            options.say(f"{RATE} records/s for {seconds} s")
            sent: list[tuple[float, int, int]] = []
            with ThreadPoolExecutor(1) as producing:
                done = producing.submit(_put, platform, seconds * RATE, sent)
                seen = _watch(platform, done, seconds * RATE)
                done.result()
            latency = latencies(sent, seen)
            if len(latency) != seconds * RATE:
                raise RuntimeError(
                    f"of {seconds * RATE} rows {len(latency)} became visible; {tail(scratch / 'worker.log')}"
                )
    note = (
        f"{RATE} records/s for {seconds} s, each an object and a load of its own, as ministack's Firehose does not buffer. On AWS, "
        "Firehose's buffer_s (60 by default) comes on top"
    )
    title = "Put on Kinesis to visible in Redshift, by Firehose's objects and COPY"
    return [
        row("aws.fresh.p95", f"{title}, p95", "s", Series.of([percentile(latency, 0.95)]), note=note),
        row("aws.fresh.p50", f"{title}, median", "s", Series.of([percentile(latency, 0.5)])),
    ]


@contextmanager
def _installation(options: Options) -> Iterator[tuple[dict[str, str], Path]]:
    """The environment of a project whose profile names the test servers, and its folder."""
    import boto3

    from mlplatform_tests.servers.redshift.server import redshift

    scratch = options.folder("fresh")
    with ministack(scratch) as aws, closing(boto3.client("s3", **aws.client_options)) as s3, redshift(s3) as cluster:
        s3.create_bucket(Bucket=BUCKET)
        write_system(scratch, SYSTEM, DEFS)
        (scratch / "profiles").mkdir()
        (scratch / "profiles" / "fresh.yaml").write_text(yaml.safe_dump(_profile(aws, cluster.settings)))
        more = {**KEYS, "AWS_ENDPOINT_URL": aws.endpoint_url, "MLPLATFORM_PROFILE": "fresh", **cluster.secrets}
        with environ(more):
            yield {**environment(scratch, scratch / "home"), **more}, scratch


def _profile(aws: Ministack, cluster: dict[str, Any]) -> dict[str, Any]:
    """The local one, with streams, objects, notices and the warehouse as AWS has them."""
    profile: dict[str, Any] = {**yaml.safe_load((ROOT / "profiles" / "local.yaml").read_text()), "name": "fresh"}
    place = {"endpoint_url": aws.endpoint_url, "region": "us-east-1"}
    hosed = {"by": "firehose", "create": True, "role_arn": ROLE, "gzip": False, "buffer_s": 0}
    profile["connections"] |= {
        "streams": {
            "port": "stream",
            "adapter": "kinesis",
            "settings": {**place, "create": True, "delivery": hosed},
        },
        "objects": {"port": "object_store", "adapter": "s3", "settings": {**place, "bucket": BUCKET}},
        "arrivals": {"port": "arrivals", "adapter": "sqs", "settings": {**place, "queue": BUCKET, "create": True}},
        "warehouse": {
            "port": "warehouse",
            "adapter": "redshift",
            "settings": {**cluster, "min_batch_interval_s": 1},
        },
    }
    return profile


def _opened(env: dict[str, str]) -> Platform:
    """The platform, with stream, delivery stream and table made."""
    platform = open_platform(env)
    platform.asset_events.prepare()
    stations = platform.system(SYSTEM)
    stations.prepare()
    stations.ingest(TABLE).create()
    return platform


def _warm(platform: Platform) -> None:
    """One record goes all the way before any is timed."""
    stations = platform.system(SYSTEM)
    stations.producer(STREAM).put([b'{"id":-1,"key":"k0","value":0}'])
    deadline = time.monotonic() + 120
    while not stations.warehouse().query(f"SELECT count(*) AS n FROM {TABLE}").to_pylist()[0]["n"]:  # noqa: S608 - a constant
        if time.monotonic() > deadline:
            raise RuntimeError("the first record did not come into the table")
        time.sleep(POLL_S)


def _put(platform: Platform, records: int, sent: list[tuple[float, int, int]]) -> None:
    """Put them one by one, at their times whatever a put takes; notes of each when it was due, and its id twice."""
    producer = platform.system(SYSTEM).producer(STREAM)
    start = time.time()
    for number in range(records):
        due = start + number / RATE
        time.sleep(max(0.0, due - time.time()))
        data = json.dumps({"id": number, "key": f"k{number % PARTS}", "value": number % 97}).encode()
        if any(found.error_code for found in producer.put([data])):
            raise RuntimeError(f"record {number} was refused")
        sent.append((due, number, number))


def _watch(platform: Platform, producing: Future[None], records: int) -> list[Seen]:
    """Look until every record is there (or a minute after the last one was put)."""
    warehouse = platform.system(SYSTEM).warehouse()
    seen: list[Seen] = []
    known = [-1] * PARTS
    deadline = math.inf
    while sum(known) < sum(range(records - PARTS, records)) and time.monotonic() < deadline:
        sql = f"SELECT key, max(id) AS id FROM {TABLE} WHERE id > {min(known)} GROUP BY key"  # noqa: S608 - a number
        for found in warehouse.query(sql).to_pylist():
            place = int(found["key"][1:])
            known[place] = max(known[place], found["id"])
        seen.append(Seen(time.time(), tuple(known), None))
        if producing.done() and deadline == math.inf:
            deadline = time.monotonic() + 60
        time.sleep(POLL_S)
    return seen

"""Put on Kinesis to visible in Redshift: Firehose writes objects, S3 tells the queue of them, the worker has them copied."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks.aws.environ import KEYS, environ
from benchmarks.freshness.bench import DEFS, TABLE, Seen, latencies, percentile
from benchmarks.freshness.producer import KEYS as PARTS
from benchmarks.freshness.producer import SYSTEM
from benchmarks.options import Options
from benchmarks.processes import server, tail
from benchmarks.project import ROOT, environment, write_system
from benchmarks.rows import Row, Series, row
from mlplatform.platform import Platform, open_platform
from mlplatform_tests.servers.ministack.server import Ministack, ministack

RATE = 20
"""Records a second. ministack's Firehose makes an object of each: as many objects a second as thousands of records are on AWS."""
POLL_S = 0.1
BATCH_S = 1
BUCKET = "fresh"
ROLE = "arn:aws:iam::000000000000:role/firehose"


def fresh(options: Options) -> list[Row]:
    """Rows ``aws.fresh.*``."""
    seconds = options.size(90, 10)
    with _installation(options) as (env, scratch), closing(_opened(env)) as platform:
        options.say(f"{RATE:,} records/s for {seconds} s")
        worker = [sys.executable, "-m", "mlplatform.worker.main"]
        with server(worker, ready=platform.worker_alive, log=scratch / "worker.log", env=env):
            log = scratch / "sent.txt"
            command = [sys.executable, "-m", "benchmarks.freshness.producer", str(RATE), str(seconds), str(log)]
            with (scratch / "producer.log").open("wb") as said:
                producer = subprocess.Popen(command, env=env, stdout=said, stderr=said)
                try:
                    seen = _watch(platform, producer, seconds * RATE)
                finally:
                    producer.kill()
                    producer.wait()
    sent = [line.split() for line in log.read_text().splitlines()]
    latency = latencies([(float(at), int(first), int(last)) for at, first, last in sent], seen)
    if len(latency) != seconds * RATE:
        raise RuntimeError(
            f"expected {seconds * RATE} rows, {len(latency)} became visible; {tail(scratch / 'worker.log')}"
        )
    note = (
        f"{RATE} records/s for {seconds} s, each an object of its own, as ministack's Firehose does not buffer; the table is appended to "
        f"each {BATCH_S} s at most. On AWS, Firehose's buffer_s and the table's min_batch_interval_s (60 s each by default) come on top"
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
            "settings": {**cluster, "min_batch_interval_s": BATCH_S},
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


def _watch(platform: Platform, producer: subprocess.Popen[bytes], records: int) -> list[Seen]:
    """Look until every record is there (or a minute after the producer's end)."""
    warehouse = platform.system(SYSTEM).warehouse()
    seen: list[Seen] = []
    known = [-1] * PARTS
    deadline = float("inf")
    while max(known) < records - 1 or sum(known) < sum(range(records - PARTS, records)):
        sql = f"SELECT key, max(id) AS id FROM {TABLE} WHERE id > {min(known)} GROUP BY key"  # noqa: S608 - a number
        for found in warehouse.query(sql).to_pylist():
            place = int(found["key"][1:])
            known[place] = max(known[place], found["id"])
        at = time.time()
        seen.append(Seen(at, tuple(known), None))
        if at > deadline:
            break
        if producer.poll() is not None and deadline == float("inf"):
            if producer.returncode:
                raise RuntimeError(f"the producer ended with {producer.returncode}")
            deadline = at + 60
        time.sleep(POLL_S)
    return seen

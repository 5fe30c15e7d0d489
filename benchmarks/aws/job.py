"""What the platform adds to a job on SageMaker: from the request to its results here, beyond what SageMaker itself takes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.aws.environ import KEYS, environ
from benchmarks.options import Options
from benchmarks.rows import Bar, Row, Series, row
from mlplatform.adapters.compute.sagemaker import SageMakerCompute
from mlplatform.adapters.compute.sagemaker_logs import END_VARIABLE
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.ports.compute import Channel, JobSpec
from mlplatform_tests.servers.ministack.server import ministack

NAME = "jobs"
"""Of the bucket, the queue, and the rule that sends SageMaker's events to it."""
WORK_S = 5
MODEL_BYTES = 1_000_000
SILENT = f"""import os, pathlib, time
time.sleep({WORK_S})
print("[0] validation:r2: 0.5", flush=True)
pathlib.Path(os.environ["SM_MODEL_DIR"], "model").write_bytes(os.urandom({MODEL_BYTES}))
"""
"""Any container's program: its log is waited for until it has been silent for some seconds."""
MARKED = f"""{SILENT}print(os.environ["{END_VARIABLE}"], flush=True)
"""
"""One that says where its log ends, as the platform's own containers do."""
PROGRAMS = {"marked": MARKED, "silent": SILENT}
SETTINGS = {
    "role_arn": "arn:aws:iam::111122223333:role/trainer",
    "image": "111122223333.dkr.ecr.us-east-1.amazonaws.com/{container}:1",
}


def job(options: Options) -> list[Row]:
    """Rows ``aws.job.*``."""
    with _account(options) as (store, folder, queue):
        by_events = {"events_queue": queue}
        how: dict[str, tuple[str, dict[str, Any]]] = {
            "events": ("marked", by_events),
            "polls": ("marked", {}),
            "unmarked": ("silent", by_events),
        }
        added: dict[str, list[float]] = {name: [] for name in how}
        whole: list[float] = []
        rounds = {"events": options.rounds(7), "polls": options.rounds(3), "unmarked": options.rounds(3)}
        for name, (container, settings) in how.items():
            made = SageMakerComputeSettings.model_validate({**SETTINGS, **settings})
            compute = SageMakerCompute(made, folder / "local", store, containers=[folder / "containers"])
            for number in range(rounds[name]):
                options.say(f"{name}: job {number + 1} of {rounds[name]}")
                seconds, beyond = _run(compute, f"{name}-{number}", container)
                added[name].append(seconds - beyond)
                whole += [seconds - WORK_S] if name == "events" else []
    note = (
        f"wall time less that from SageMaker's CreationTime to its TrainingEndTime; a job of {WORK_S} s, a channel of 1 MB and a model "
        "of 1 MB, on the SageMaker stand-in"
    )
    return [
        row(
            "aws.job.added",
            "A training job asked for, awaited by events, and its results here: beyond what SageMaker took. Its program prints the "
            "end-of-log marker, as the platform's containers do",
            "s",
            Series.of(added["events"]),
            bar=Bar("ours", "most", 2.0),
            note=f"{note}; holds with the marker only",
        ),
        row(
            "aws.job.added_unmarked",
            "The same with a program that prints no marker, whose log is waited for until it was silent for five seconds",
            "s",
            Series.of(added["unmarked"]),
            note=f"{note}; no bar was set for it",
        ),
        row(
            "aws.job.added_polling",
            "The same with the marker, awaited by looks at most 15 s apart",
            "s",
            Series.of(added["polls"]),
            note=note,
        ),
        row(
            "aws.job.whole",
            "The same with the marker, by events, all but the program's own work: with the stand-in's downloads, start of Python, uploads",
            "s",
            Series.of(whole),
            note="on AWS, a machine that starts takes minutes",
        ),
    ]


def _run(compute: SageMakerCompute, name: str, container: str) -> tuple[float, float]:
    """Wall seconds of a job, and SageMaker's."""
    start = time.perf_counter()
    done = compute.run(JobSpec(name, container, {}, (Channel("train", "in/"),), "models/"))
    seconds = time.perf_counter() - start
    if done.model_dir is None or (done.model_dir / "model").stat().st_size != MODEL_BYTES:
        raise RuntimeError(f"job {name}: expected a model of {MODEL_BYTES} bytes in '{done.model_dir}'")
    told = compute.describe(name)
    created, ended = (datetime.fromisoformat(told[moment]) for moment in ("CreationTime", "TrainingEndTime"))
    return seconds, (ended - created).total_seconds()


@contextmanager
def _account(options: Options) -> Iterator[tuple[S3ObjectStore, Path, str]]:
    """An account's store, with a channel; a folder with the containers; and the queue's URL."""
    import boto3

    from mlplatform_tests.servers.sagemaker.server import sagemaker

    folder = options.folder("job")
    for name, program in PROGRAMS.items():
        container = folder / "containers" / name
        container.mkdir(parents=True)
        (container / "Dockerfile").write_text('FROM python\nENTRYPOINT ["python", "job.py"]\n')
        (container / "job.py").write_text(program)
    with (
        ministack(folder) as aws,
        environ({**KEYS, "AWS_ENDPOINT_URL": aws.endpoint_url}),
        sagemaker(folder, aws.endpoint_url) as server,
    ):
        account = server.account(folder)
        clients: dict[str, Any] = {name: boto3.client(name) for name in ("s3", "sqs", "events")}
        clients["s3"].create_bucket(Bucket=NAME)
        url = str(clients["sqs"].create_queue(QueueName=NAME)["QueueUrl"])
        arn = clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Training Job State Change"]}
        clients["events"].put_rule(Name=NAME, EventPattern=json.dumps(pattern))
        clients["events"].put_targets(Rule=NAME, Targets=[{"Id": "queue", "Arn": arn}])
        for client in clients.values():
            client.close()
        with environ(account.env), closing(S3ObjectStore(NAME)) as store:
            store.put("in/rows", bytes(1_000_000))
            yield store, folder, url

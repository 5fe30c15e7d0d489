"""One call of every adapter to AWS, behind a server that can be told to fail, for the suite of faults."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlplatform.adapters.arrivals.sqs import SqsArrivals, SqsSettings
from mlplatform.adapters.aws.client import AwsSettings
from mlplatform.adapters.compute.sagemaker_logs import JobLog
from mlplatform.adapters.endpoints.sagemaker_api import SageMakerApi
from mlplatform.adapters.endpoints.sagemaker_settings import SageMakerEndpointSettings
from mlplatform.adapters.item_store.dynamodb import DynamoDbItemStore, DynamoDbSettings
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.metrics.cloudwatch import CloudWatchMetrics, CloudWatchSettings
from mlplatform.adapters.notifications.sns import SnsNotifications, SnsSettings
from mlplatform.adapters.object_store.s3 import S3ObjectStore, S3Settings
from mlplatform.adapters.secrets.secrets_manager import SecretsManagerSecrets, SecretsManagerSettings
from mlplatform.adapters.secrets.ssm import SsmSecrets, SsmSettings
from mlplatform.adapters.stream.firehose import since
from mlplatform.adapters.stream.kinesis import KinesisSettings, KinesisStream
from mlplatform.errors import PlatformError, UnavailableError
from mlplatform.ports.metrics import Measure
from mlplatform.ports.notifications import Notification
from mlplatform.ports.stream import Record
from mlplatform_tests.conformance.streams import stream_spec
from mlplatform_tests.servers.kinesis.server import kinesis
from mlplatform_tests.servers.ministack.faults import Faults, faults_before
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMaker


@dataclass(frozen=True)
class Call:
    """A call by a client that tries twice.

    Attributes:
        resource: what the message must name, `operation` and `action` beside it: AWS's word and IAM's.
        effects: how often it was done, as others see it; None of one that only looks.
        throttled: the service's own code. `told_as`: the one kind of error that its port knows.
    """

    do: Callable[[], object]
    resource: str
    operation: str
    action: str
    failing: Faults
    effects: Callable[[], int] | None = None
    throttled: str = "ThrottlingException"
    told_as: type[PlatformError] | None = None


def s3(server: Ministack, faults: Faults, folder: Path) -> Iterator[Call]:
    bucket = _bucket(server)
    with (
        closing(S3ObjectStore(bucket, client_options=faults.impatient_options)) as store,
        closing(S3ObjectStore(bucket, client_options=server.client_options)) as seen,
    ):
        yield Call(
            lambda: store.put("a", b"x"),
            f"s3://{bucket}/a",
            "PutObject",
            "s3:PutObject",
            faults,
            lambda: len(list(seen.list(""))),
            "SlowDown",
        )


def sqs(server: Ministack, faults: Faults, folder: Path) -> Iterator[Call]:
    bucket, queue = _bucket(server), f"q-{uuid.uuid4().hex}"
    settings, store = SqsSettings(queue=queue, create=True), S3Settings(bucket=bucket)
    with closing(SqsArrivals(settings, store, client_options=faults.impatient_options)) as arrivals:
        arrivals.receive()
        yield Call(arrivals.receive, f"Queue '{queue}'", "ReceiveMessage", "sqs:ReceiveMessage", faults)


def dynamodb(server: Ministack, faults: Faults, folder: Path) -> Iterator[Call]:
    settings = DynamoDbSettings(table=f"items-{uuid.uuid4().hex}", create=True)
    with (
        closing(DynamoDbItemStore(settings, client_options=server.client_options)) as seen,
        closing(DynamoDbItemStore(settings, client_options=faults.impatient_options)) as items,
    ):
        seen.put("c", "other", {})
        yield Call(
            lambda: items.put("c", "k", {}),
            f"'c/k' in DynamoDB's table '{settings.table}'",
            "UpdateItem",
            "dynamodb:UpdateItem",
            faults,
            lambda: found.version if (found := seen.get("c", "k")) else 0,
            "ProvisionedThroughputExceededException",
        )


def sns(server: Ministack, faults: Faults, folder: Path) -> Iterator[Call]:
    client: Any = boto3.client("sns", **server.client_options)
    topic = client.create_topic(Name=f"t-{uuid.uuid4().hex}")["TopicArn"]
    items = SqliteItemStore(folder / "items.sqlite")
    found = SnsNotifications(SnsSettings(topic_arn=topic), items, client_options=faults.impatient_options)
    with closing(client), closing(found):
        yield Call(
            lambda: found.send(Notification("k", "info", "s", "t", "")),
            f"Topic '{topic}'",
            "Publish",
            "sns:Publish",
            faults,
            throttled="Throttling",
            told_as=UnavailableError,
        )
    items.close()


def ssm(server: Ministack, faults: Faults, folder: Path) -> Iterator[Call]:
    prefix = f"/{uuid.uuid4().hex}/"
    with closing(boto3.client("ssm", **server.client_options)) as client:
        client.put_parameter(Name=f"{prefix}x", Value="v", Type="SecureString")
    with closing(SsmSecrets(SsmSettings(prefix=prefix, cache_s=0), client_options=faults.impatient_options)) as found:
        yield Call(lambda: found.get("x"), "'x'", "GetParameter", "ssm:GetParameter", faults)


def secrets_manager(server: Ministack, faults: Faults, folder: Path) -> Iterator[Call]:
    prefix = f"/{uuid.uuid4().hex}/"
    with closing(boto3.client("secretsmanager", **server.client_options)) as client:
        client.create_secret(Name=f"{prefix}x", SecretString="v")
    settings = SecretsManagerSettings(prefix=prefix, cache_s=0)
    with closing(SecretsManagerSecrets(settings, client_options=faults.impatient_options)) as found:
        yield Call(lambda: found.get("x"), "'x'", "GetSecretValue", "secretsmanager:GetSecretValue", faults)


def cloudwatch(server: Ministack, faults: Faults, folder: Path) -> Iterator[Call]:
    settings = CloudWatchSettings(namespace=f"n-{uuid.uuid4().hex}")
    with closing(CloudWatchMetrics(settings, client_options=faults.impatient_options)) as metrics:
        yield Call(
            lambda: metrics.put([Measure("beats", 1, "count")], datetime.now(UTC)),
            f"namespace '{settings.namespace}'",
            "PutMetricData",
            "cloudwatch:PutMetricData",
            faults,
            throttled="Throttling",
        )


def logs(server: Ministack, faults: Faults, folder: Path) -> Iterator[Call]:
    assert server
    with closing(AwsSettings().client("logs", faults.impatient_options)) as client:
        yield Call(
            lambda: list(JobLog(client, "job-1", 1, datetime.now(UTC)).lines()),
            "The log of job 'job-1'",
            "DescribeLogStreams",
            "logs:DescribeLogStreams",
            faults,
        )


def firehose(server: Ministack, faults: Faults, folder: Path) -> Iterator[Call]:
    assert server
    yield Call(
        lambda: since("ticks", AwsSettings(), client_options=faults.impatient_options),
        "Delivery stream 'ticks'",
        "DescribeDeliveryStream",
        "firehose:DescribeDeliveryStream",
        faults,
    )


def kinesis_stream(read_timeout_s: float) -> Iterator[Call]:
    with (
        kinesis(lambda: datetime.now(UTC)) as server,
        faults_before(server.server_port, read_timeout_s=read_timeout_s) as faults,
    ):
        settings = KinesisSettings()
        server.asked("CreateStream", {"StreamName": "s-prices", "ShardCount": 1})
        with (
            closing(KinesisStream(settings, "s", stream_spec(), client_options=server.client_options)) as seen,
            closing(KinesisStream(settings, "s", stream_spec(), client_options=faults.impatient_options)) as stream,
        ):
            seen.shards()
            stream.shards()
            yield Call(
                lambda: stream.put([Record("k", b"x")]),
                "Stream 's-prices'",
                "PutRecords",
                "kinesis:PutRecords",
                faults,
                lambda: sum(len(seen.read(each.shard)) for each in seen.shards()),
                "LimitExceededException",
            )


def sagemaker_endpoints(server: SageMaker, faults: Faults, folder: Path) -> Iterator[Call]:
    settings = SageMakerEndpointSettings(role_arn="arn:aws:iam::111122223333:role/serving", image="serve:1")
    api = SageMakerApi(settings, _of_account(server, faults, folder))
    yield Call(
        lambda: api.endpoint("mlplatform-e"),
        "Endpoint 'mlplatform-e'",
        "DescribeEndpoint",
        "sagemaker:DescribeEndpoint",
        faults,
    )


def sagemaker_compute(server: SageMaker, faults: Faults, folder: Path) -> Iterator[Call]:
    from mlplatform.adapters.compute.sagemaker import SageMakerCompute
    from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
    from mlplatform.adapters.object_store.directory import DirectoryObjectStore
    from mlplatform_tests.conformance.computes import SETTINGS

    settings, options = SageMakerComputeSettings.model_validate(SETTINGS), _of_account(server, faults, folder)
    compute = SageMakerCompute(settings, folder, DirectoryObjectStore(folder / "objects"), client_options=options)
    yield Call(
        lambda: compute.remove("job-1"),
        "Job 'job-1'",
        "DescribeTrainingJob",
        "sagemaker:DescribeTrainingJob",
        faults,
    )


BEHIND_MINISTACK = {
    "s3": s3,
    "sqs": sqs,
    "dynamodb": dynamodb,
    "sns": sns,
    "ssm": ssm,
    "secrets_manager": secrets_manager,
    "cloudwatch": cloudwatch,
    "logs": logs,
    "firehose": firehose,
}
ON_SAGEMAKER = {"sagemaker endpoints": sagemaker_endpoints, "sagemaker compute": sagemaker_compute}
HURRY_S = 2.0
ADAPTERS = (*BEHIND_MINISTACK, "kinesis", "redshift data api", *ON_SAGEMAKER)


@pytest.fixture(params=ADAPTERS)
def call(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Call]:
    yield from _opened(request, tmp_path, read_timeout_s=60.0)


@pytest.fixture(params=ADAPTERS)
def hurried_call(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Call]:
    """By a client that waits `HURRY_S` for each answer."""
    yield from _opened(request, tmp_path, read_timeout_s=HURRY_S)


def _opened(request: pytest.FixtureRequest, tmp_path: Path, *, read_timeout_s: float) -> Iterator[Call]:
    name = request.param
    if name == "kinesis":
        yield from kinesis_stream(read_timeout_s)
        return
    if name == "redshift data api":
        from mlplatform_tests.conformance.redshift_call import redshift_data_api

        yield from redshift_data_api(request.getfixturevalue("redshift_server"), read_timeout_s)
        return
    on_sagemaker = name in ON_SAGEMAKER
    server: Any = request.getfixturevalue("sagemaker_server" if on_sagemaker else "ministack_server")
    make: Any = ON_SAGEMAKER[name] if on_sagemaker else BEHIND_MINISTACK[name]
    with faults_before(server.port, read_timeout_s=read_timeout_s) as faults:
        yield from make(server, faults, tmp_path)


def _of_account(server: SageMaker, faults: Faults, folder: Path) -> dict[str, Any]:
    return {**faults.impatient_options, "aws_access_key_id": server.account(folder).key}


def _bucket(server: Ministack) -> str:
    name = f"test-{uuid.uuid4().hex}"
    with closing(boto3.client("s3", **server.client_options)) as client:
        client.create_bucket(Bucket=name)
    return name

"""Who may do what the page on profiles lists, and nothing else, can do what the platform does there; without it he is refused."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlplatform.adapters.arrivals.sqs import SqsArrivals, SqsSettings
from mlplatform.adapters.item_store.dynamodb import DynamoDbItemStore, DynamoDbSettings
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.metrics.cloudwatch import CloudWatchMetrics, CloudWatchSettings
from mlplatform.adapters.notifications.sns import SnsNotifications, SnsSettings
from mlplatform.adapters.object_store.s3 import S3Settings
from mlplatform.adapters.secrets.secrets_manager import SecretsManagerSecrets, SecretsManagerSettings
from mlplatform.adapters.secrets.ssm import SsmSecrets, SsmSettings
from mlplatform.adapters.stream.kinesis import KinesisSettings, KinesisStream
from mlplatform.errors import PermissionDeniedError
from mlplatform.gateway.aws_lambda import make_handler
from mlplatform.ports.metrics import Measure
from mlplatform.ports.notifications import Notification
from mlplatform.ports.stream import Record
from mlplatform_tests.aws_calls.actions import actions_of, resources_of
from mlplatform_tests.aws_calls.identities import permitted, strict_server
from mlplatform_tests.aws_calls.recorder import listed
from mlplatform_tests.conformance.streams import stream_spec
from mlplatform_tests.gateway.lambda_site import LambdaSite
from mlplatform_tests.gateway.site import NAME, ROW
from mlplatform_tests.packages import make_package
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import sagemaker
from mlplatform_tests.serving.until import until

__all__ = ["strict_server"]


def test_of_every_action_it_is_known_what_it_is_on() -> None:
    assert all(resources_of(action) for calls in listed().values() for action in actions_of(calls))


@pytest.fixture
def name() -> str:
    """Of what a test makes."""
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def bucket(strict_server: Ministack, name: str) -> str:
    with closing(boto3.client("s3", **strict_server.client_options)) as client:
        client.create_bucket(Bucket=name)
    return name


@pytest.mark.slow
def test_who_lacks_an_action_or_has_it_on_another_resource_is_refused(strict_server: Ministack, name: str) -> None:
    elsewhere = permitted(strict_server, "item_store: dynamodb", TABLE=f"{name}-other")
    none = permitted(strict_server, "notifications: sns", TOPIC=name)
    for options in (elsewhere, none):
        store = DynamoDbItemStore(DynamoDbSettings(table=name, create=True), client_options=options)
        with closing(store), pytest.raises(PermissionDeniedError):
            store.put("a", "b", {})


@pytest.mark.slow
def test_a_stream_is_made_put_to_and_read(strict_server: Ministack, name: str) -> None:
    options = permitted(strict_server, "stream: kinesis", STREAMS=f"{name}-")
    settings = KinesisSettings.model_validate({"create": True, "prefix": f"{name}-"})
    with closing(KinesisStream(settings, "shop", stream_spec(2), client_options=options)) as stream:
        assert not stream.put([Record("a", b"{}")])[0].error_code
        until(lambda: any(stream.read(shard.shard) for shard in stream.shards()))


@pytest.mark.slow
def test_notices_of_arrivals_come(strict_server: Ministack, bucket: str) -> None:
    options = permitted(strict_server, "arrivals: sqs", BUCKET=bucket, QUEUE=bucket)
    settings, store = SqsSettings(queue=bucket, create=True), S3Settings(bucket=bucket, prefix="below")
    with (
        closing(SqsArrivals(settings, store, client_options=options)) as arrivals,
        closing(boto3.client("s3", **strict_server.client_options)) as client,
    ):
        arrivals.receive()
        client.put_object(Bucket=bucket, Key="below/a.csv", Body=b"x")
        seen: list[str] = []

        def came() -> bool:
            found = arrivals.receive()
            seen.extend(notice.key for notice in found.notices)
            arrivals.done(found.receipts)
            return bool(seen)

        until(came)
    assert seen == ["a.csv"]


@pytest.mark.slow
def test_secrets_are_read(strict_server: Ministack, name: str) -> None:
    place = strict_server.client_options
    with closing(boto3.client("ssm", **place)) as ssm, closing(boto3.client("secretsmanager", **place)) as manager:
        ssm.put_parameter(Name=f"/{name}/a", Value="1", Type="SecureString")
        manager.create_secret(Name=f"{name}/a", SecretString="2")
    by_parameter = permitted(strict_server, "secrets: ssm", PARAMETERS=name)
    with closing(SsmSecrets(SsmSettings(prefix=f"/{name}/"), client_options=by_parameter)) as secrets:
        assert secrets.get("a").get_secret_value() == "1"
    by_manager = permitted(strict_server, "secrets: secrets_manager", SECRETS=f"{name}/")
    settings = SecretsManagerSettings(prefix=f"{name}/")
    with closing(SecretsManagerSecrets(settings, client_options=by_manager)) as others:
        assert others.get("a").get_secret_value() == "2"


@pytest.mark.slow
def test_people_and_alarms_are_told(strict_server: Ministack, name: str, tmp_path: Path) -> None:
    with closing(boto3.client("sns", **strict_server.client_options)) as client:
        topic = client.create_topic(Name=name)["TopicArn"]
    options = permitted(strict_server, "notifications: sns", TOPIC=name)
    items = SqliteItemStore(tmp_path / "items.sqlite")
    with closing(items), closing(SnsNotifications(SnsSettings(topic_arn=topic), items, client_options=options)) as sns:
        assert sns.send(Notification("key", "drift", "shop", "a title", "a message"))
    told = permitted(strict_server, "metrics: cloudwatch")
    settings = CloudWatchSettings(namespace=name, alarm_topic_arn=topic)
    with closing(CloudWatchMetrics(settings, client_options=told)) as metrics:
        metrics.put([Measure("beat", 1, "count")], datetime.now(UTC))
        metrics.watch(beat="beat", troubles="troubles")


@pytest.fixture
def one_loop() -> Iterator[None]:
    """A function's process has one event loop as long as it lives; here it is closed."""
    yield
    asyncio.get_event_loop().close()
    asyncio.set_event_loop(None)


@pytest.mark.slow
def test_the_gateway_as_a_function_answers_and_captures(
    strict_server: Ministack,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    one_loop: None,
) -> None:
    short = name[:15]
    (tmp_path / "sagemaker").mkdir()
    options = permitted(
        strict_server, "gateway: as a Lambda", BUCKET=short, PREFIX="lake", TABLE=short, PARAMETERS=short
    )
    digest = make_package(tmp_path / "package")
    packages = {digest: tmp_path / "package"}
    key = str(options["aws_access_key_id"])
    own = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": str(options["aws_secret_access_key"])}
    place = {"AWS_ENDPOINT_URL": strict_server.endpoint_url, "AWS_DEFAULT_REGION": "us-east-1"}
    with sagemaker(tmp_path / "sagemaker", strict_server.endpoint_url) as stand_in:
        site = LambdaSite(strict_server, stand_in, tmp_path, packages, name=short, key=key)
        site.deploy(1, digest)
        token, _ = site.keys.create(NAME, label="test", now=datetime.now(UTC))
        for file, text in site.project.items():
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).write_text(text)
        monkeypatch.chdir(tmp_path)
        for variable, value in {**site.variables, **place, **own}.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        answer = make_handler(site.variables)(called(token), None)
        assert answer["statusCode"] == 200, answer
        assert len(site.captured()) == 1
        site.close()


def called(token: str) -> dict[str, Any]:
    """A call as an HTTP API hands it on."""
    http = {"method": "POST", "path": "/predict/prices", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/predict/prices",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "authorization": f"Bearer {token}"},
        "requestContext": {"accountId": "123456789012", "apiId": "id", "http": http, "stage": "$default"},
        "body": json.dumps(ROW),
        "isBase64Encoded": False,
    }

"""Connections of a profile to AWS's services, found as boto3 finds them: by the environment alone."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from mlplatform.adapters.stream.kinesis import KinesisStream
from mlplatform.errors import ProfileError
from mlplatform.platform import connections
from mlplatform.ports.notifications import Notification
from mlplatform.ports.stream import Record
from mlplatform.spec.home import Home
from mlplatform.spec.profile import Connection, Port
from mlplatform.spec.stream import StreamSpec
from mlplatform_tests.conformance.notification_places import Topic
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.ministack.server import Ministack

__all__ = ["ministack_server"]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "aws-services.md"
STREAM = StreamSpec.model_validate({"name": "ticks", "partition_key": "k", "delivery": {"prefix": "landing/"}})


@pytest.fixture(autouse=True)
def aws(ministack_server: Ministack, monkeypatch: pytest.MonkeyPatch) -> Ministack:
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack_server.endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    # boto3 keeps a session, which read the environment when it was made.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return ministack_server


def connection(port: Port, adapter: str, **settings: Any) -> Connection:
    return Connection(port=port, adapter=adapter, settings=settings)


def test_every_port_finds_its_service(aws: Ministack, tmp_path: Path) -> None:
    home, unique = Home(tmp_path), uuid.uuid4().hex
    boto3.client("s3").create_bucket(Bucket=unique)
    boto3.client("ssm").put_parameter(Name=f"/{unique}/a", Value="one", Type="SecureString")
    boto3.client("secretsmanager").create_secret(Name=f"{unique}/a", SecretString="two")
    topic = Topic(aws)

    store = connections.object_store(connection("object_store", "s3", bucket=unique), home)
    assert store.put("k", b"x").size_bytes == 1
    items = connections.item_store(connection("item_store", "dynamodb", table=unique, create=True), home)
    assert items.put("c", "k", {}).version == 1
    for adapter, prefix, value in (("ssm", f"/{unique}/", "one"), ("secrets_manager", f"{unique}/", "two")):
        secrets = connections.secrets(connection("secrets", adapter, prefix=prefix), {})
        assert secrets.get("a").get_secret_value() == value
    found = connection("notifications", "sns", topic_arn=topic.arn)
    told = connections.notifications(found, home, items, secrets)
    assert told.send(Notification("1", "info", "prices", "Title", "")) is True
    assert [message["Subject"] for message in topic.told()] == ["Title"]
    stream = connections.stream(
        connection("stream", "kinesis", prefix=f"{unique}-", create=True), home, "prices", STREAM
    )
    [result] = stream.put([Record("k", b"x")])
    assert [r.sequence for r in stream.read(result.shard)] == [result.sequence]
    topic.close()


def test_the_connections_of_the_how_to_are_made_without_asking_anybody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    [block] = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    found = {name: Connection.model_validate(each) for name, each in yaml.safe_load(block)["connections"].items()}
    home = Home(tmp_path)
    made = [
        connections.object_store(found.pop("objects"), home),
        items := connections.item_store(found.pop("items"), home),
        secrets := connections.secrets(found.pop("secrets"), {}),
        connections.notifications(found.pop("notifications"), home, items, secrets),
        stream := connections.stream(found.pop("streams"), home, "prices", STREAM),
    ]
    assert found == {}
    assert [type(each).__module__.partition("adapters.")[2] for each in made] == [
        "object_store.s3", "item_store.dynamodb", "secrets.ssm", "notifications.sns", "stream.kinesis",
    ]  # fmt: skip
    assert isinstance(stream, KinesisStream)
    assert stream.name == "prod-prices-ticks"


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (connection("item_store", "dynamodb"), "table"),
        (connection("stream", "kinesis", shards=2), "shards"),
        (connection("secrets", "ssm", cache_s=-1), "cache_s"),
        (connection("secrets", "secrets_manager", key="k"), "key"),
    ],
)
def test_wrong_settings_are_the_profiles_error(found: Connection, wrong: str, tmp_path: Path) -> None:
    made: dict[Port, Callable[[], object]] = {
        "item_store": lambda: connections.item_store(found, Home(tmp_path)),
        "stream": lambda: connections.stream(found, Home(tmp_path), "prices", STREAM),
        "secrets": lambda: connections.secrets(found, {}),
    }
    with pytest.raises(ProfileError, match=rf"Settings of a \w+ connection \(\w+\) are wrong: [\s\S]*{wrong}"):
        made[found.port]()

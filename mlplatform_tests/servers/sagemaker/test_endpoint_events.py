"""What becomes of an endpoint, told as events, and what a stand-in that was started again makes of it."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import sagemaker
from mlplatform_tests.servers.sagemaker.serving import Serving


@pytest.fixture
def sqs(ministack_server: Ministack) -> Any:
    return boto3.client("sqs", **ministack_server.client_options)


@pytest.fixture
def queue(sqs: Any, ministack_server: Ministack) -> str:
    """A queue that EventBridge sends endpoints' changes to."""
    name = f"endpoints-{uuid.uuid4().hex[:12]}"
    url = str(sqs.create_queue(QueueName=name)["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bridge = boto3.client("events", **ministack_server.client_options)
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"]}
    bridge.put_rule(Name=name, EventPattern=json.dumps(pattern))
    bridge.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    return url


def test_each_change_of_an_endpoint_is_an_event(serving: Serving, sqs: Any, queue: str) -> None:
    found = serving.served({"first": 1.0})
    seen: list[Any] = []
    deadline = time.monotonic() + 30
    while len(seen) < 2:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ())
        bodies = [json.loads(message["Body"]) for message in messages]
        seen += [body["detail"] for body in bodies if body["resources"] == [found["EndpointArn"]]]
        assert time.monotonic() < deadline
    assert {detail["EndpointStatus"] for detail in seen} == {"CREATING", "IN_SERVICE"}
    assert seen[0]["EndpointConfigName"] == "echo-1"


@pytest.mark.slow
def test_a_stand_in_that_was_killed_serves_again_what_it_served(ministack_server: Ministack, tmp_path: Path) -> None:
    folder = tmp_path / "account"
    for number, log in enumerate((tmp_path / "first", tmp_path / "second")):
        log.mkdir()
        with sagemaker(log, ministack_server.endpoint_url) as server:
            account = server.account(folder, "restarted")
            serving = Serving(account, ministack_server, f"test-{uuid.uuid4().hex}")
            if not number:
                serving.prepare()
                serving.served({"first": 1.0})
            deadline = time.monotonic() + 30
            while True:
                try:
                    answer = serving.runtime.invoke_endpoint(EndpointName="echo", Body=b"x")
                    break
                except ClientError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            assert json.loads(answer["Body"].read())["model"] == "first"

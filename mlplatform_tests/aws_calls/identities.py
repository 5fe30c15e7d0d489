"""Identities that may do what the page on profiles lists for a component, and nothing else, on a server that keeps to it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import pytest

from mlplatform_tests.aws_calls.actions import policy_of
from mlplatform_tests.aws_calls.recorder import listed
from mlplatform_tests.servers.ministack.functions import ACCOUNT
from mlplatform_tests.servers.ministack.server import Ministack, ministack

OF_THE_SERVER = (
    {"Effect": "Allow", "Action": "kinesis:GetRecords", "Resource": "*"},
    {"Effect": "Allow", "Action": "sqs:DeleteMessageBatch", "Resource": "arn:aws:sqs:REGION:ACCOUNT:QUEUE"},
)
"""What it asks for and AWS does not: it finds no stream behind an iterator, and has an action of its own for a batch, where AWS has
sqs:DeleteMessage (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html)."""

TRIED = {
    "arrivals: sqs",
    "gateway: as a Lambda",
    "item_store: dynamodb",
    "metrics: cloudwatch",
    "notifications: sns",
    "object_store: s3",
    "secrets: secrets_manager",
    "secrets: ssm",
    "stream: kinesis",
}
"""Components whose policies tests of this folder work with."""


@pytest.fixture(scope="session")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    """ministack, where IAM is asked before each call."""
    with ministack(tmp_path_factory.mktemp("strict-ministack"), permissions=True) as server:
        yield server


def policy(component: str, **names: str) -> str:
    """The component's policy, with `names` for what the page has in capitals."""
    told = policy_of(listed()[component])
    told["Statement"] = [*told["Statement"], *OF_THE_SERVER]
    text = json.dumps(told)
    for name, value in {"REGION": "us-east-1", "ACCOUNT": ACCOUNT, **names}.items():
        text = text.replace(name.replace("_", "-"), value)
    return text


def permitted(server: Ministack, component: str, **names: str) -> dict[str, Any]:
    """Keyword arguments of ``boto3.client`` for a new user with that policy."""
    user = f"test-{uuid.uuid4().hex[:12]}"
    with closing(boto3.client("iam", **server.client_options)) as iam:
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="least", PolicyDocument=policy(component, **names))
        key = iam.create_access_key(UserName=user)["AccessKey"]
    return {
        **server.client_options,
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
    }

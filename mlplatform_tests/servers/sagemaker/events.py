"""SageMaker's state-change events, as EventBridge delivers them to queues.

Only AWS's services may send events of source ``aws.sagemaker``. So what a rule of the default bus asks for is looked up where
EventBridge is, and what fits it is put into its SQS targets here. Misfortunes: ``event lost``, ``event twice``.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlplatform_tests.servers.sagemaker.account import NUMBER, REGION, Account

TRAINING = "SageMaker Training Job State Change"
PROCESSING = "SageMaker Processing Job State Change"
TRANSFORM = "SageMaker Transform Job State Change"
TUNING = "SageMaker HyperParameter Tuning Job State Change"
ENDPOINT = "SageMaker Endpoint State Change"
_SQS = "arn:aws:sqs:"


def send(account: Account, detail_type: str, arn: str, detail: Mapping[str, Any]) -> None:
    """Deliver the event that says how `arn` is described now."""
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": "aws.sagemaker",
        "account": NUMBER,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [arn],
        "detail": dict(detail),
    }
    if account.faults.takes("event lost"):
        return
    queues = _queues(account, event)
    for _ in range(2 if account.faults.takes("event twice") else 1):
        for url in queues:
            account.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(event))


def _queues(account: Account, event: Mapping[str, Any]) -> list[str]:
    """Queues of the rules that the event fits."""
    bridge, found = account.client("events"), []
    for rule in bridge.list_rules()["Rules"]:
        if rule.get("State") != "ENABLED" or not fits(json.loads(rule.get("EventPattern") or '{"source": []}'), event):
            continue
        for target in bridge.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
            if target["Arn"].startswith(_SQS):
                name = target["Arn"].rpartition(":")[2]
                found.append(account.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])
    return found


def fits(pattern: Mapping[str, Any], found: Any) -> bool:
    """Whether an event fits a pattern: fields with lists of what they may be: values, or prefix, anything-but, exists.

    (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html.)
    """
    for name, wanted in pattern.items():
        value = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(wanted, Mapping):
            if not fits(wanted, value or {}):
                return False
            continue
        values = value if isinstance(value, list) else [value]
        if not any(_is(one, each) for one in wanted for each in values):
            return False
    return True


def _is(wanted: Any, found: Any) -> bool:
    if not isinstance(wanted, Mapping):
        return bool(wanted == found)
    (kind, value), *_ = wanted.items()
    if kind == "prefix":
        return isinstance(found, str) and found.startswith(value)
    if kind == "exists":
        return (found is not None) == value
    if kind == "anything-but":
        return found is not None and found not in (value if isinstance(value, list) else [value])
    return False

"""Application Auto Scaling, as far as endpoints need it: what was asked for is kept, and nothing is scaled."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker.account import NUMBER, REGION, Account, Operation
from mlplatform_tests.servers.sagemaker.endpoints import known_endpoint

TARGET, POLICY = "scalable-target", "scaling-policy"


def _register(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    _, name, *_ = given["ResourceId"].split("/")
    known_endpoint(account, name)
    found = account.records.get(TARGET, _key(given)) or {"CreationTime": time.time(), "RoleARN": _role()}
    account.records.put(TARGET, _key(given), {**found, **given})
    return {}


def _deregister(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    _known(account, given)
    account.records.delete(TARGET, _key(given))
    for policy in account.records.all(POLICY):
        if policy["ResourceId"] == given["ResourceId"]:
            account.records.delete(POLICY, _key(policy))
    return {}


def _put_policy(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    _known(account, given)
    arn = f"arn:aws:autoscaling:{REGION}:{NUMBER}:scalingPolicy:1:resource/sagemaker/{given['ResourceId']}"
    arn = f"{arn}:policyName/{given['PolicyName']}"
    account.records.put(POLICY, _key(given), {**given, "PolicyARN": arn, "CreationTime": time.time()})
    return {"PolicyARN": arn, "Alarms": []}


def _targets(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    wanted = given.get("ResourceIds")
    return {"ScalableTargets": [t for t in account.records.all(TARGET) if not wanted or t["ResourceId"] in wanted]}


def _policies(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    wanted = given.get("ResourceId")
    return {"ScalingPolicies": [p for p in account.records.all(POLICY) if not wanted or p["ResourceId"] == wanted]}


def _known(account: Account, given: Mapping[str, Any]) -> None:
    if account.records.get(TARGET, _key(given)) is None:
        raise AwsRefusedError(
            "ObjectNotFoundException", f"No scalable target registered for resource ID: {given['ResourceId']}"
        )


def _key(given: Mapping[str, Any]) -> str:
    return hashlib.sha256(given["ResourceId"].encode()).hexdigest()[:16]


def _role() -> str:
    return f"arn:aws:iam::{NUMBER}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/scaling"


OPERATIONS: Mapping[str, Operation] = {
    "RegisterScalableTarget": _register,
    "DeregisterScalableTarget": _deregister,
    "PutScalingPolicy": _put_policy,
    "DescribeScalableTargets": _targets,
    "DescribeScalingPolicies": _policies,
}

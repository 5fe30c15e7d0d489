"""From calls to the actions of IAM that they need, and the resources that these are on.

An action is called as the operation is, behind the service's name, but for what stands here and in `mlplatform.adapters.aws.actions`.
Source: the Service Authorization Reference (https://docs.aws.amazon.com/service-authorization/latest/reference/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlplatform.adapters.aws.actions import OTHERWISE

SERVICES = {"monitoring": "cloudwatch"}
"""Services whose requests are signed by another name than IAM has."""

_SCALING = (
    "cloudwatch:DeleteAlarms",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:PutMetricAlarm",
    "iam:CreateServiceLinkedRole",
    "sagemaker:DescribeEndpoint",
    "sagemaker:DescribeEndpointConfig",
    "sagemaker:UpdateEndpointWeightsAndCapacities",
)
ALSO: Mapping[str, tuple[str, ...]] = {
    "application-autoscaling:RegisterScalableTarget": _SCALING[3:],
    "application-autoscaling:PutScalingPolicy": _SCALING[:3],
    "firehose:CreateDeliveryStream": ("iam:PassRole",),
    # Without it, an object that is not there is told as one that is forbidden.
    "s3:GetObject": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:ListBucket",),
    "sagemaker:CreateEndpoint": ("sagemaker:AddTags",),
    "sagemaker:CreateEndpointConfig": ("sagemaker:AddTags",),
    "sagemaker:CreateModel": ("iam:PassRole", "sagemaker:AddTags"),
    "sagemaker:CreateModelPackageGroup": ("sagemaker:AddTags",),
    "sagemaker:CreateTrainingJob": ("iam:PassRole", "sagemaker:AddTags"),
}
"""What a call needs beside its own action: roles that it hands on, tags that it sets, and what a service asks in the caller's name
(https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html)."""

_BUCKET, _OBJECTS = "arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/PREFIX/*"
RESOURCES: Mapping[str, tuple[str, ...]] = {
    "application-autoscaling:": ("*",),
    "cloudwatch:PutMetricData": ("*",),
    "cloudwatch:": ("arn:aws:cloudwatch:REGION:ACCOUNT:alarm:*",),
    "dynamodb:": ("arn:aws:dynamodb:REGION:ACCOUNT:table/TABLE",),
    "firehose:": ("arn:aws:firehose:REGION:ACCOUNT:deliverystream/STREAMS*",),
    "iam:PassRole": ("arn:aws:iam::ACCOUNT:role/ROLE",),
    "iam:CreateServiceLinkedRole": (
        "arn:aws:iam::ACCOUNT:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/*",
    ),
    "kinesis:": ("arn:aws:kinesis:REGION:ACCOUNT:stream/STREAMS*",),
    "logs:": ("arn:aws:logs:REGION:ACCOUNT:log-group:/aws/sagemaker/*",),
    "redshift-data:ExecuteStatement": ("arn:aws:redshift-serverless:REGION:ACCOUNT:workgroup/WORKGROUP-ID",),
    "redshift-data:BatchExecuteStatement": ("arn:aws:redshift-serverless:REGION:ACCOUNT:workgroup/WORKGROUP-ID",),
    "redshift-data:": ("*",),
    "redshift-serverless:": ("arn:aws:redshift-serverless:REGION:ACCOUNT:workgroup/WORKGROUP-ID",),
    "redshift:GetClusterCredentials": (
        "arn:aws:redshift:REGION:ACCOUNT:dbuser:CLUSTER/USER",
        "arn:aws:redshift:REGION:ACCOUNT:dbname:CLUSTER/DATABASE",
    ),
    "redshift:": ("arn:aws:redshift:REGION:ACCOUNT:cluster:CLUSTER",),
    "s3:GetBucketNotification": (_BUCKET,),
    "s3:ListBucket": (_BUCKET,),
    "s3:PutBucketNotification": (_BUCKET,),
    "s3:": (_OBJECTS,),
    # These take no resource.
    "sagemaker:ListEndpointConfigs": ("*",),
    "sagemaker:ListModels": ("*",),
    "sagemaker:ListModelPackages": ("*",),
    "sagemaker:Search": ("*",),
    "sagemaker:": ("arn:aws:sagemaker:REGION:ACCOUNT:*",),
    "secretsmanager:": ("arn:aws:secretsmanager:REGION:ACCOUNT:secret:SECRETS*",),
    "sns:": ("arn:aws:sns:REGION:ACCOUNT:TOPIC",),
    "sqs:": ("arn:aws:sqs:REGION:ACCOUNT:QUEUE",),
    "ssm:": ("arn:aws:ssm:REGION:ACCOUNT:parameter/PARAMETERS/*",),
}
"""By the longest beginning of an action. What stands in capitals is the installation's own."""


def actions_of(calls: Iterable[str]) -> list[str]:
    """Actions that an identity needs to make these calls."""
    found: set[str] = set()
    for call in calls:
        service, _, operation = call.partition(":")
        found.add(OTHERWISE.get(call, f"{SERVICES.get(service, service)}:{operation}"))
        found.update(ALSO.get(call, ()))
    return sorted(found)


def policy_of(calls: Iterable[str]) -> dict[str, Any]:
    """The least that an identity needs, as a policy of IAM. Raises KeyError for an action whose resources are not known."""
    by_resources: dict[tuple[str, ...], list[str]] = {}
    for action in actions_of(calls):
        by_resources.setdefault(resources_of(action), []).append(action)
    statements = [
        {"Effect": "Allow", "Action": actions, "Resource": list(resources)}
        for resources, actions in sorted(by_resources.items(), key=lambda item: item[1])
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def resources_of(action: str) -> tuple[str, ...]:
    """What the action is on. Raises KeyError."""
    matching = [beginning for beginning in RESOURCES if action.startswith(beginning)]
    if not matching:
        raise KeyError(f"{action}: say in {__name__}.RESOURCES what it is on")
    return RESOURCES[max(matching, key=len)]

"""What IAM calls the permission that a call needs (https://docs.aws.amazon.com/service-authorization/latest/reference/).

Mostly the service's prefix and the operation; S3 has several operations behind one action, SQS calls batches as their parts.
"""

from __future__ import annotations

from collections.abc import Mapping

_PREFIXES = {
    "Application Auto Scaling": "application-autoscaling",
    "CloudWatch Logs": "logs",
    "Redshift Serverless": "redshift-serverless",
    "Redshift's Data API": "redshift-data",
    "Systems Manager": "ssm",
}
"""Of services, as messages call them; any other's is its name in one word of small letters."""

OTHERWISE: Mapping[str, str] = {
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:PutBucketNotificationConfiguration": "s3:PutBucketNotification",
    "s3:UploadPart": "s3:PutObject",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
}
"""Actions of calls that are called otherwise (https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html,
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html)."""


def action(service: str, operation: str) -> str:
    """For ``Kinesis`` and ``PutRecords``: ``kinesis:PutRecords``."""
    call = f"{_PREFIXES.get(service, service.replace(' ', '').lower())}:{operation}"
    return OTHERWISE.get(call, call)

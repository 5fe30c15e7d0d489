"""What IAM calls the permission that a call needs (https://docs.aws.amazon.com/service-authorization/latest/reference/).

Mostly the service's prefix and the operation; S3 has several operations behind one action.
"""

from __future__ import annotations

_PREFIXES = {"CloudWatch Logs": "logs", "Redshift Data API": "redshift-data", "Systems Manager": "ssm"}
"""Of services, as messages call them; any other's is its name in one word of small letters."""
_S3 = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListObjectsV2": "ListBucket",
    "UploadPart": "PutObject",
}


def action(service: str, operation: str) -> str:
    """For ``Kinesis`` and ``PutRecords``: ``kinesis:PutRecords``."""
    prefix = _PREFIXES.get(service, service.replace(" ", "").lower())
    return f"{prefix}:{_S3.get(operation, operation) if prefix == 's3' else operation}"

"""Amazon Data Firehose as a stream's delivery (https://docs.aws.amazon.com/firehose/latest/dev/what-is-this-service.html).

Firehose reads the Kinesis stream and writes objects ``<prefix>yyyy/MM/dd/HH/<delivery stream>-<version>-<time>-<uuid><suffix>``, of
all shards together, at least once: what it wrote twice stands there twice, and a table's unique key counts it as a duplicate. A
record is one line only where it brings its own line break, or Firehose is told to add one; with `create` it is told so. What it
could not transform or deliver lies below the error prefix, as lines of its own that no table's columns fit: evidence for the
quarantine.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlplatform.adapters.aws.client import AwsSettings
from mlplatform.adapters.aws.errors import aws_mapped, error_code
from mlplatform.adapters.object_store.s3 import S3Settings
from mlplatform.adapters.stream.firehose_check import check, delivers_since
from mlplatform.errors import DataError, NotFoundError, PermissionDeniedError, PlatformError

_KINDS: dict[str, type[PlatformError]] = {
    "InvalidArgumentException": DataError,
    "InvalidKMSResourceException": PermissionDeniedError,
}
_STEPS: dict[type[PlatformError], str] = {
    NotFoundError: "Make the delivery stream, or let it be made by 'create: true' in the connection's delivery.",
    PermissionDeniedError: "Allow firehose:DescribeDeliveryStream and kinesis:DescribeStreamSummary; with 'create', also "
    "firehose:CreateDeliveryStream and iam:PassRole on role_arn.",
}


class FirehoseSettings(BaseModel):
    """How Firehose delivers, as a profile writes it below `delivery` of a stream's connection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["firehose"] = Field(description="Who delivers.")
    suffix: str = Field(
        default=".jsonl",
        pattern=r"^\.[a-z0-9.]*[a-z0-9]$",
        description="Its objects' file extension, without .gz: what else lies there is not loaded.",
    )
    folder: str = Field(
        default="firehose/", pattern=r"^[^/]+/$", description="Below the stream's own prefix: where its objects lie."
    )
    errors: str = Field(
        default="firehose-errors/", pattern=r"^[^/]+/$", description="Below the stream's own prefix: its errors."
    )
    create: bool = Field(default=False, description="Whether the delivery stream is made where it is missing.")
    role_arn: str | None = Field(
        default=None, description="The role that Firehose takes: it reads the stream and writes the bucket."
    )
    buffer_s: int = Field(default=60, ge=0, le=900, description="Seconds the oldest record waits at most.")
    buffer_mib: int = Field(default=5, ge=1, le=128, description="MiB of records in one object at most.")
    gzip: bool = Field(default=True, description="Whether objects are compressed.")
    lambda_arn: str | None = Field(
        default=None,
        description="The function that transforms records, with mlplatform.entrypoints.firehose_transform.handler.",
    )

    @model_validator(mode="after")
    def _role(self) -> FirehoseSettings:
        if self.create and self.role_arn is None:
            raise ValueError("role_arn: expected the role that Firehose takes, since the delivery stream is to be made")
        return self


def delivery_stream(
    name: str, stream_arn: str, prefix: str, settings: FirehoseSettings, store: S3Settings
) -> dict[str, Any]:
    """The request that makes the delivery stream `name` of the Kinesis stream, to objects under `prefix` of the store."""
    below = store.prefix.strip("/")
    place = f"{below}/{prefix}" if below else prefix
    destination: dict[str, Any] = {
        "RoleARN": settings.role_arn,
        "BucketARN": f"arn:aws:s3:::{store.bucket}",
        "Prefix": f"{place}{settings.folder}!{{timestamp:yyyy/MM/dd/HH}}/",
        "ErrorOutputPrefix": f"{place}{settings.errors}!{{firehose:error-output-type}}/!{{timestamp:yyyy/MM/dd/HH}}/",
        "BufferingHints": {"SizeInMBs": settings.buffer_mib, "IntervalInSeconds": settings.buffer_s},
        "CompressionFormat": "GZIP" if settings.gzip else "UNCOMPRESSED",
        "FileExtension": f"{settings.suffix}.gz" if settings.gzip else settings.suffix,
        "ProcessingConfiguration": {"Enabled": True, "Processors": [_processor(settings)]},
    }
    return {
        "DeliveryStreamName": name,
        "DeliveryStreamType": "KinesisStreamAsSource",
        "KinesisStreamSourceConfiguration": {"KinesisStreamARN": stream_arn, "RoleARN": settings.role_arn},
        "ExtendedS3DestinationConfiguration": destination,
    }


def make(
    name: str,
    prefix: str,
    settings: FirehoseSettings,
    aws: AwsSettings,
    store: S3Settings,
    *,
    client_options: Mapping[str, Any] | None = None,
) -> datetime | None:
    """See to it that the delivery stream of the Kinesis stream `name`, which has its name, is there and delivers under
    `prefix`; from when on it takes what arrives, None while it does not yet.

    Raises:
        NotFoundError: it is not there and is not to be made.
        StateError, ConflictError: it is there, and delivers nothing that is loaded.
    """
    firehose = aws.client("firehose", client_options)
    kinesis = aws.client("kinesis", client_options)
    try:
        with _mapped(name):
            about = _described(firehose, name, missing=settings.create)
            stream = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
            request = delivery_stream(name, stream["StreamARN"], prefix, settings, store)
            if about is None:
                try:
                    firehose.create_delivery_stream(**request)
                except firehose.exceptions.ClientError as error:
                    if error_code(error) != "ResourceInUseException":
                        raise
                return None
        check(about, request)
        return delivers_since(about)
    finally:
        firehose.close()
        kinesis.close()


def since(name: str, aws: AwsSettings, *, client_options: Mapping[str, Any] | None = None) -> datetime | None:
    """From when on the delivery stream `name` takes what arrives; None where it does not, or is not there."""
    firehose = aws.client("firehose", client_options)
    try:
        with _mapped(name):
            about = _described(firehose, name, missing=True)
        return None if about is None else delivers_since(about)
    finally:
        firehose.close()


def _described(firehose: Any, name: str, *, missing: bool) -> Mapping[str, Any] | None:
    """As Firehose describes it; None where it is not there, and may be `missing`."""
    try:
        about: Mapping[str, Any] = firehose.describe_delivery_stream(DeliveryStreamName=name)[
            "DeliveryStreamDescription"
        ]
    except firehose.exceptions.ResourceNotFoundException:
        if not missing:
            raise
        return None
    return about


def _processor(settings: FirehoseSettings) -> dict[str, Any]:
    """Our handler ends each record with a line break; without it, Firehose does."""
    if settings.lambda_arn is not None:
        return {
            "Type": "Lambda",
            "Parameters": [{"ParameterName": "LambdaArn", "ParameterValue": settings.lambda_arn}],
        }
    return {
        "Type": "AppendDelimiterToRecord",
        "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
    }


def _mapped(name: str) -> Any:
    return aws_mapped(f"Delivery stream '{name}'", service="Firehose", kinds=_KINDS, steps=_STEPS)

"""Batch transform jobs: a model's container asked for every object below a prefix (https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlplatform.errors import DataError
from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker import events
from mlplatform_tests.servers.sagemaker.account import Account, Operation
from mlplatform_tests.servers.sagemaker.job_kind import JobKind
from mlplatform_tests.servers.sagemaker.models import known_model
from mlplatform_tests.servers.sagemaker.record_filter import check_path
from mlplatform_tests.servers.sagemaker.transform_run import run

MOST_MIB = 100
_LINES = ("text/csv", "application/jsonlines")


def _check(account: Account, request: dict[str, Any]) -> None:
    known_model(account, request["ModelName"])
    source, target = request["TransformInput"], request["TransformOutput"]
    split, assemble = source.get("SplitType", "None"), target.get("AssembleWith", "None")
    if split not in ("None", "Line"):
        raise AwsRefusedError("ValidationException", f"The stand-in does not split by {split}")
    if source["DataSource"]["S3DataSource"]["S3DataType"] != "S3Prefix":
        raise AwsRefusedError("ValidationException", "The stand-in reads inputs of S3DataType S3Prefix only")
    if "BatchStrategy" in request and request["BatchStrategy"] == "SingleRecord" and split == "None":
        raise AwsRefusedError("ValidationException", "BatchStrategy SingleRecord needs a SplitType")
    if request.get("MaxConcurrentTransforms", 1) * request.get("MaxPayloadInMB", 6) > MOST_MIB:
        raise AwsRefusedError(
            "ValidationException", f"MaxConcurrentTransforms * MaxPayloadInMB must be at most {MOST_MIB} MB"
        )
    processing = request.get("DataProcessing", {})
    if (
        processing
        and source.get("ContentType", "").partition(";")[0] in _LINES
        and (split, assemble) != ("Line", "Line")
    ):
        raise AwsRefusedError("ValidationException", "DataProcessing of lines needs SplitType and AssembleWith Line")
    for name in ("InputFilter", "OutputFilter"):
        try:
            check_path(processing.get(name, "$"))
        except DataError as error:
            raise AwsRefusedError("ValidationException", error.message) from error


TRANSFORM = JobKind(
    kind="transform-job",
    label="TransformJob",
    times="Transform",
    event=events.TRANSFORM,
    work=lambda account, record: run(account, record, TRANSFORM),
    check=_check,
)
OPERATIONS: Mapping[str, Operation] = TRANSFORM.operations
resume = TRANSFORM.resume

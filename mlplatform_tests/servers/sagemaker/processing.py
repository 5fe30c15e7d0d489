"""Processing jobs: a container over inputs and outputs in S3 (https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html).

Each host is a process with a tree of its own. Where a request says ``/opt/ml/…`` (local paths, arguments, variables), the
container is told where that is in its tree; SAGEMAKER_BASE_DIR says so too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker import events, images
from mlplatform_tests.servers.sagemaker.account import Account, Operation
from mlplatform_tests.servers.sagemaker.job_kind import JobKind
from mlplatform_tests.servers.sagemaker.processing_run import ROOT, run

MOST_INPUTS = 10


def _check(account: Account, request: dict[str, Any]) -> None:
    images.check_image(account, request["AppSpecification"]["ImageUri"])
    inputs = request.get("ProcessingInputs", ())
    if len(inputs) > MOST_INPUTS:
        raise AwsRefusedError("ValidationException", f"More than {MOST_INPUTS} inputs")
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", ())
    parts = [*(given.get("S3Input") for given in inputs), *(given.get("S3Output") for given in outputs)]
    for part in parts:
        if part is None or not part.get("LocalPath", "").startswith(ROOT):
            raise AwsRefusedError("ValidationException", f"LocalPath must begin with {ROOT}")
        if part.get("S3DataType", "S3Prefix") != "S3Prefix":
            raise AwsRefusedError("ValidationException", "The stand-in reads inputs of S3DataType S3Prefix only")
    names = [given.get("InputName", given.get("OutputName")) for given in (*inputs, *outputs)]
    if len(names) != len(set(names)):
        raise AwsRefusedError("ValidationException", "Names of inputs and outputs must be unique")


PROCESSING = JobKind(
    kind="processing-job",
    label="ProcessingJob",
    times="Processing",
    event=events.PROCESSING,
    work=lambda account, record: run(account, record, PROCESSING),
    check=_check,
)
OPERATIONS: Mapping[str, Operation] = {**PROCESSING.operations, "DeleteProcessingJob": PROCESSING.delete}
resume = PROCESSING.resume

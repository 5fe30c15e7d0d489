"""The gateway's function, which writes down what it asked of AWS, call by call, where ``CALLS`` says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mlplatform.gateway import aws_lambda
from mlplatform_tests.aws_calls import recorder

HANDLER = f"{__name__}.handler"
FILE = "CALLS"

recorder.install()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry."""
    answer = aws_lambda.handler(event, context)
    Path(os.environ[FILE]).write_text(json.dumps(sorted({call for _, call in recorder.CALLED})))
    return answer

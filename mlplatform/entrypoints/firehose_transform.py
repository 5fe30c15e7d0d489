"""A stream's transformation as Amazon Data Firehose calls it: the handler of a Lambda function.

(https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html) Each record of the event is answered with ``Ok`` and what
is to be delivered, ``Dropped`` where the transformation left it out, or ``ProcessingFailed`` with its own bytes, which Firehose
writes below its error prefix. What is delivered is one line with its line break.

Environment: ``MLPLATFORM_TRANSFORM``, the ``package.module:function`` of the stream's YAML; empty = records stay as they are.
Handler: ``mlplatform.entrypoints.firehose_transform.handler``.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from typing import Any

from mlplatform.core.loads.landing import one_line, unfit
from mlplatform.spec.transformation import Transformed, load_transformation

VARIABLE = "MLPLATFORM_TRANSFORM"
_MADE: dict[str, Callable[[bytes], Transformed]] = {}


def handler(event: Mapping[str, Any], context: object = None) -> dict[str, Any]:  # noqa: ARG001
    """Lambda's entry; the function is loaded once a container."""
    reference = os.environ.get(VARIABLE, "")
    if reference not in _MADE:
        _MADE[reference] = load_transformation(reference or None, where=VARIABLE)
    return answer(event, _MADE[reference])


def answer(event: Mapping[str, Any], transform: Callable[[bytes], Transformed]) -> dict[str, Any]:
    """The answer to an event, record by record, in its order."""
    return {"records": [_answered(record, transform) for record in event["records"]]}


def _answered(record: Mapping[str, Any], transform: Callable[[bytes], Transformed]) -> dict[str, str]:
    data = base64.b64decode(record["data"])
    result = transform(data)
    told = {"recordId": str(record["recordId"]), "data": str(record["data"])}
    if result.data is None:
        return {**told, "result": "Dropped"}
    if result.error or unfit(result.data):
        return {**told, "result": "ProcessingFailed"}
    return {**told, "result": "Ok", "data": base64.b64encode(one_line(result.data) + b"\n").decode()}
